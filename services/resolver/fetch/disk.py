"""Writing what was fetched: what the disk says is a Failure of ours, and no fault of the source."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from libs.common.domain.failures import Code, Failure

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})


@contextmanager
def writing() -> Iterator[None]:
    """Raises Failure for a disk that is full, and for a file larger than this process may write; libav's errors are OSErrors too."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise Failure(Code.RETRYABLE_ERROR, "there is no room for the source at the moment") from None
        if error.errno == errno.EFBIG:
            raise Failure(Code.INPUT_TOO_LARGE, "the part of the source that is needed has more bytes than are allowed") from None
        raise
