"""All rows of the op table, theme by theme."""

import rows_attention  # noqa: F401
import rows_creation  # noqa: F401
import rows_index  # noqa: F401
import rows_network  # noqa: F401
import rows_order  # noqa: F401
import rows_pointwise  # noqa: F401
import rows_product  # noqa: F401
import rows_reduce  # noqa: F401
import rows_shape  # noqa: F401
import rows_tensor  # noqa: F401
import rows_windows  # noqa: F401
