"""Which source a request means, and the keys of uploads. Pure: every refusal names the field it is about."""

import re
from uuid import UUID

from libs.common.domain.failures import Code, Failure
from libs.common.domain.probing import Source
from libs.common.domain.source_urls import UrlRules, checked_url
from services.api.bodies import NewJob, NewProbe
from services.api.requests import Refused

_UPLOAD_KEY = re.compile(r"uploads/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/[A-Za-z0-9][\w.-]{0,127}", re.ASCII)


def source_of(wish: NewJob | NewProbe, rules: UrlRules | None) -> Source:
    """The source as the request names it; `rules` is None where URLs are not fetched. Raises Refused."""
    if wish.source_type == "upload":
        return Source(source_type="upload", upload_key=_upload_key(wish))
    if rules is None:
        raise Refused("sourceType", "this service does not fetch URLs", Code.YTDLP_DISABLED)
    return Source(source_type="youtube", source_url=_url(wish, rules))


def _upload_key(wish: NewJob | NewProbe) -> str:
    """Of the form of those that we hand out."""
    if wish.youtube_url is not None:
        raise Refused("youtubeUrl", "youtubeUrl goes with sourceType youtube only")
    if wish.upload_key is None:
        raise Refused("uploadKey", "uploadKey is required for sourceType upload")
    if not _UPLOAD_KEY.fullmatch(wish.upload_key):
        raise Refused("uploadKey", "uploadKey must be one that POST /api/uploads gave")
    return wish.upload_key


def _url(wish: NewJob | NewProbe, rules: UrlRules) -> str:
    if wish.upload_key is not None:
        raise Refused("uploadKey", "uploadKey goes with sourceType upload only")
    if wish.youtube_url is None:
        raise Refused("youtubeUrl", "youtubeUrl is required for sourceType youtube")
    try:
        return checked_url(wish.youtube_url, rules)
    except Failure as failure:
        raise Refused("youtubeUrl", failure.message, failure.code, hint=failure.own_hint) from failure


def new_upload_key(upload_id: UUID, filename: str) -> str:
    """A key that nobody has: the file's own name, as far as it is safe, under a random folder."""
    name = re.split(r"[/\\]", filename)[-1]
    stem, dot, extension = name.rpartition(".")
    stem, extension = _safe(stem if dot else name), _safe(extension if dot else "")
    return f"uploads/{upload_id}/{stem[:100] or 'file'}{'.' + extension[:16] if extension else ''}"


def _safe(text: str) -> str:
    """Letters, digits, dots, dashes and underscores of ASCII, beginning with a letter or digit."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("._-")
