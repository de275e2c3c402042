"""asr: ClipUploaded -> AsrDone. The clip's own sound, transcribed, as subtitles; or those of what a client put back."""

import asyncio
from pathlib import Path

from libs.common.domain.edits import decode_edit
from libs.common.domain.events import AsrDone, ClipUploaded
from libs.common.domain.failures import Code, Failure
from libs.common.domain.languages import UNDETERMINED
from libs.common.domain.values import Notice, VideoTrack
from libs.common.runtime.background import both
from libs.common.runtime.context import Context
from services.asr.picture import shown_picture
from services.asr.settings import AsrSettings
from services.asr.subtitles import JSON, MEDIA_TYPES, SRT, TEXT, VTT, Subtitles, from_edit, from_transcript
from services.asr.transcriber import Transcriber
from services.asr.transcript import Transcript
from services.asr.transcription import transcribed
from services.asr.wish import Wish

NO_AUDIO = Notice("NO_AUDIO", "The clip has no sound; its subtitles are empty.")
NO_SPEECH = Notice("NO_SPEECH", "Nobody speaks in the clip; its subtitles are empty.")
EDITOR = "edited"
"""In the place of a provider and its model."""
DOWNLOADED = 0.1
CLIP = "clip.mp4"
EDIT_BYTES = 4 << 20
"""More than the API takes (services/api/edits.py)."""

AsrContext = Context[AsrSettings, Transcriber]


async def transcribe_clip(event: ClipUploaded, ctx: AsrContext) -> AsrDone:
    """Raises Failure."""
    if ctx.job.edited_key:
        return await _edited(event, ctx.job.edited_key, ctx)
    if not event.has_audio:
        silence = _silence(_wish(ctx), ctx)
        return await _published(from_transcript(silence, event.duration, None), silence, event, ctx)
    clip = ctx.scratch / CLIP
    await ctx.objects.results.download(event.video_key, clip)
    await ctx.progress(DOWNLOADED)
    recognition = transcribed(clip, event.duration, _wish(ctx), ctx.tools, ctx.settings, ctx.progress)
    transcript, picture = await both(recognition, _picture(event, clip, ctx))
    return await _published(from_transcript(transcript, event.duration, picture), transcript, event, ctx)


async def _picture(event: ClipUploaded, clip: Path, ctx: AsrContext) -> VideoTrack | None:
    return await shown_picture(clip, ctx.settings) if event.has_video else None


async def _edited(event: ClipUploaded, key: str, ctx: AsrContext) -> AsrDone:
    stored = await ctx.objects.results.head(key)
    if stored is None:
        raise Failure(Code.NOT_FOUND, "the edited transcript is no longer stored", hint="Send it again.")
    edit = decode_edit(await ctx.objects.results.read(key, 0, EDIT_BYTES, if_match=stored.etag))
    made_by = Transcript(language=edit.language, provider=EDITOR, model=EDITOR, audio_seconds=0.0)
    return await _published(from_edit(edit, event.duration), made_by, event, ctx)


def _wish(ctx: AsrContext) -> Wish:
    requested = ctx.job.requested
    return Wish(requested.subtitle_lang, requested.subtitle_prompt, requested.subtitle_task) if requested else Wish()


def _silence(wish: Wish, ctx: AsrContext) -> Transcript:
    language = UNDETERMINED if wish.written == "auto" else wish.written
    return Transcript(language=language, provider=ctx.tools.provider, model=ctx.tools.model, audio_seconds=0.0)


async def _published(made: Subtitles, by: Transcript, event: ClipUploaded, ctx: AsrContext) -> AsrDone:
    await asyncio.gather(*(ctx.objects.results.put(_key(name, ctx), content, MEDIA_TYPES[name]) for name, content in made.files().items()))
    return AsrDone(
        srt_key=_key(SRT, ctx),
        vtt_key=_key(VTT, ctx),
        text_key=_key(TEXT, ctx),
        json_key=_key(JSON, ctx),
        language=by.language,
        provider=by.provider,
        model=by.model,
        cues=len(made.cues),
        audio_seconds=by.audio_seconds,
        fell_back=by.fell_back,
        reused=by.reused,
        warnings=() if made.cues or by.provider == EDITOR else (NO_SPEECH if event.has_audio else NO_AUDIO,),
    )


def _key(name: str, ctx: AsrContext) -> str:
    return f"results/{ctx.job_id}/{name}"
