"""S3: both buckets with every verb that the services use, and the signed addresses that clients get. What it puts there it removes."""

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from uuid import uuid4

import aiohttp

from libs.common.domain.failures import Code, Failure
from libs.common.runtime.doctor.clocks import clock_seen
from libs.common.runtime.doctor.examination import Check
from libs.common.runtime.doctor.findings import Seen, failed, ok, skipped, warning
from libs.common.runtime.object_store import Bucket, ObjectStore
from libs.common.runtime.settings import CommonSettings

BODY = b"Clipstream's doctor was here."
TEXT = "text/plain"
TTL = 60
"""Seconds that the probe's signed addresses are good for."""
PATIENCE = aiohttp.ClientTimeout(total=5)
ORIGIN = "https://clipstream.invalid"
RIGHTS = "Let this key do s3:GetObject, PutObject, DeleteObject, AbortMultipartUpload and ListBucket there."
KEYS = "Correct S3_ACCESS_KEY_ID and S3_SECRET_ACCESS_KEY."
REFUSALS = {
    "InvalidAccessKeyId": ("it does not know this access key", KEYS),
    "SignatureDoesNotMatch": ("the secret is wrong", KEYS),
    "RequestTimeTooSkewed": ("its clock and ours are too far apart", "Let NTP keep the time on both machines."),
    "AccessDenied": ("this key may not", RIGHTS),
    "NoSuchBucket": ("there is no such bucket", "Run python -m libs.common.runtime.bootstrap with this environment."),
}
"""By S3's own error codes."""


def object_checks(objects: ObjectStore, settings: CommonSettings) -> list[Check]:
    check = partial(Check, topic="storage", needs="reachable", advice="Check that S3 runs, and S3_ENDPOINT_URL.", seconds=20)
    sources, results = objects.sources, objects.results
    return [
        check(name="reachable", look=partial(_reachable, (sources, results)), needs=None),
        check(name="uploads and sources", look=partial(_verbs, sources, "sources")),
        check(name="results", look=partial(_verbs, results, "results")),
        check(name="uploads in parts", look=partial(_parts, sources)),
        check(name="signed addresses", look=partial(_signed, results, settings)),
        check(name="browsers", look=partial(_browsers, sources)),
        check(name="deleting", look=partial(_deleting, (sources, results))),
        check(name="clock", look=partial(_clock, sources)),
    ]


def refusal(failure: Failure) -> Seen:
    response = getattr(failure.__cause__, "response", None) or {}
    code = str(response.get("Error", {}).get("Code", ""))
    if failure.outage:
        return failed(failure.message, "Check that it runs, and S3_ENDPOINT_URL.")
    return failed(*REFUSALS.get(code, (failure.message, "Check the endpoint, the region and the keys.")))


async def _reachable(buckets: Sequence[Bucket]) -> Seen:
    for bucket in buckets:
        try:
            _ = [found async for found in bucket.list(f"sources/{uuid4()}/")]
        except Failure as failure:
            seen = refusal(failure)
            return failed(f"bucket {bucket.name}: {seen.text}", seen.advice)
    return ok(", ".join(bucket.name for bucket in buckets))


@asynccontextmanager
async def probe_key(bucket: Bucket, folder: str) -> AsyncIterator[str]:
    """A key as of a job that there is not; should we die, the janitor takes it for an orphan."""
    key = f"{folder}/{uuid4()}/doctor.txt"
    try:
        yield key
    finally:
        await bucket.delete([key])


async def _verbs(bucket: Bucket, folder: str) -> Seen:
    try:
        async with probe_key(bucket, folder) as key, probe_key(bucket, folder) as copied:
            await bucket.put(key, BODY, TEXT)
            await bucket.copy(key, copied)
            part = await bucket.read(copied, 3, 9)
            listed = [found.key async for found in bucket.list(key)]
    except Failure as failure:
        return refusal(failure)
    if part != BODY[3:9] or listed != [key]:
        return failed("it does not give back what was put there", "Use a store that serves ranges and lists what it has.")
    return ok("put, copied, read in part, listed, deleted")


async def _parts(bucket: Bucket) -> Seen:
    try:
        async with probe_key(bucket, "uploads") as key:
            await bucket.client_uploads.abort(key, await bucket.client_uploads.begin(key, TEXT))
    except Failure as failure:
        return refusal(failure)
    return ok("begun and aborted")


async def _signed(bucket: Bucket, settings: CommonSettings) -> Seen:
    """As a client far away: by the public address, with nothing but the URL."""
    async with probe_key(bucket, "results") as key:
        await bucket.put(key, BODY, TEXT)
        status = await _answered("GET", await bucket.signed_get(key, ttl=TTL, filename="doctor.txt"))
    where = settings.s3_public_endpoint_url or settings.s3_endpoint_url or "AWS"
    is_apart = settings.s3_public_endpoint_url not in {None, "", settings.s3_endpoint_url}
    return signed_seen(status, where, is_apart=is_apart, is_production=settings.environment == "production")


def signed_seen(status: int | None, where: str, *, is_apart: bool = False, is_production: bool) -> Seen:
    """`is_apart`: the address is for clients alone, and services may well have no way to it."""
    if status is None and is_apart:
        advice = "If clients reach it, this is no matter; clipstream doctor tells that from where they are. Else correct it."
        return warning(f"S3_PUBLIC_ENDPOINT_URL, {where}, can't be reached from here", advice)
    if status is None:
        return failed(f"{where} can't be reached from here", "Set S3_PUBLIC_ENDPOINT_URL to where clients reach S3.")
    if status != 200:  # noqa: PLR2004  there is one success
        return failed(
            f"{where} answers {status}", "Set S3_PUBLIC_ENDPOINT_URL to the name that S3 itself knows: it is part of the signature."
        )
    if is_production and any(host in where for host in ("//127.", "//localhost", "//[::1]")):
        return warning(f"{where} is good on this machine alone", "Set S3_PUBLIC_ENDPOINT_URL to where clients reach S3.")
    return ok(f"good at {where}")


async def _browsers(bucket: Bucket) -> Seen:
    """What a page asks before it puts a part there (CORS preflight). Nothing is begun for it."""
    signed = await bucket.client_uploads.signed_part(f"uploads/{uuid4()}/doctor.txt", "none", 1, size=len(BODY), content_type=TEXT, ttl=TTL)
    asks = {"Origin": ORIGIN, "Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "content-type"}
    status = await _answered("OPTIONS", signed.url, asks)
    if status is None:
        return skipped("nobody answers there from here: “signed addresses” says more")
    if 200 <= status < 300:  # noqa: PLR2004  the successes
        return ok("pages may put files there (CORS)")
    return warning("pages may not put files there (CORS)", "Give the sources bucket a CORS rule: docs/uploads.md. Other clients need none.")


async def _deleting(buckets: Sequence[Bucket]) -> Seen:
    try:
        kept = [bucket.name for bucket in buckets if await bucket.keeps_versions()]
    except Failure as failure:
        if failure.outage:
            raise
        return skipped("this key, or this store, does not tell whether old versions are kept")
    if kept:
        advice = "Switch versioning off, or add a lifecycle rule that deletes old versions after a day."
        return warning(f"{', '.join(kept)} keeps versions: what is deleted goes on taking space", advice)
    return ok("what is deleted is gone")


async def _clock(bucket: Bucket) -> Seen:
    async with probe_key(bucket, "sources") as key:
        before = time.time()
        await bucket.put(key, BODY, TEXT)
        after, found = time.time(), await bucket.head(key)
    if found is None:
        raise Failure(Code.STORAGE_UNAVAILABLE, "what was put there is not there", outage="s3")
    return clock_seen(found.modified.timestamp(), before, after, resolution=1.0)


async def _answered(method: str, url: str, headers: dict[str, str] | None = None) -> int | None:
    """The status; None where nobody answers. The URL is a secret."""
    try:
        async with aiohttp.ClientSession(timeout=PATIENCE) as session, session.request(method, url, headers=headers) as answer:
            return answer.status
    except (aiohttp.ClientError, TimeoutError, OSError):
        return None
