# The names of taut.ai.fake.
from ._answers import Question as Question
from ._answers import Reply as Reply
from ._faults import FAULTS as FAULTS
from ._faults import Fault as Fault
from ._server import PROVIDERS as PROVIDERS
from ._server import FakeServer as FakeServer
from ._server import Request as Request
from ._server import serve as serve
