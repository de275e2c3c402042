"""asr: ClipUploaded -> AsrDone. The clip's own sound, transcribed, as subtitles."""

from libs.common.domain.events import AsrDone, ClipUploaded, Notice
from libs.common.runtime.context import Context
from services.asr.audio import extract_audio
from services.asr.languages import UNDETERMINED
from services.asr.settings import AsrSettings
from services.asr.subtitles import Cue, cues, srt
from services.asr.transcriber import Transcriber
from services.asr.transcript import Transcript

NO_AUDIO = Notice("NO_AUDIO", "The clip has no sound; its subtitles are empty.")
NO_SPEECH = Notice("NO_SPEECH", "Nobody speaks in the clip; its subtitles are empty.")

AsrContext = Context[AsrSettings, Transcriber]


async def transcribe_clip(event: ClipUploaded, ctx: AsrContext) -> AsrDone:
    language = ctx.job.requested.subtitle_lang if ctx.job.requested else "auto"
    transcript = await _transcript(event, language, ctx)
    shown = cues(transcript.words, event.duration)
    key = await _published(shown, ctx)
    return AsrDone(
        srt_key=key,
        language=transcript.language,
        provider=transcript.provider,
        model=transcript.model,
        cues=len(shown),
        audio_seconds=transcript.audio_seconds,
        warnings=_warnings(event, shown),
    )


async def _transcript(event: ClipUploaded, language: str, ctx: AsrContext) -> Transcript:
    if not event.has_audio:
        return _silence(language, ctx.settings)
    clip = ctx.scratch / "clip.mp4"
    await ctx.objects.results.download(event.video_key, clip)
    await ctx.progress(0.1)
    audio = await extract_audio(clip, event.duration, ctx.settings)
    await ctx.progress(0.2)
    transcript = await ctx.tools.transcribe(audio, language=language)
    await ctx.progress(0.9)
    return transcript


def _silence(language: str, settings: AsrSettings) -> Transcript:
    return Transcript(
        language=UNDETERMINED if language == "auto" else language,
        provider=settings.asr_provider,
        model=settings.model_name,
        audio_seconds=0.0,
    )


async def _published(shown: tuple[Cue, ...], ctx: AsrContext) -> str:
    key = f"results/{ctx.job_id}/clip.srt"
    await ctx.objects.results.put(key, srt(shown).encode(), "application/x-subrip; charset=utf-8")
    return key


def _warnings(event: ClipUploaded, shown: tuple[Cue, ...]) -> tuple[Notice, ...]:
    if shown:
        return ()
    return (NO_SPEECH if event.has_audio else NO_AUDIO,)
