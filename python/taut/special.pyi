# Written by python/make_stubs.py; do not edit.
from typing import Any

digamma: Any
erf: Any
erfc: Any
erfinv: Any
exp2: Any
expit: Any
expm1: Any
gammaln: Any
log1p: Any
log_softmax: Any
logit: Any
logsumexp: Any
polygamma: Any
psi: Any
round: Any
sinc: Any
softmax: Any
xlogy: Any
