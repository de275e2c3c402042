"""Examples of what clients send and get, by the name of the Struct that they are of. Pure; a test holds them to their schemas."""

from typing import Any

EXAMPLE_ID = "0b8f2d1c-5f0e-4d53-9c86-6a1f0a3c5f11"
JOB_ID = "7c1de0d6-31e5-4d35-8b0a-8a2f6f5f0c42"
UPLOAD_KEY = "uploads/5e0f6c1a-9d53-4f7e-a3c0-0f8a2f6f1b7d/talk.mp4"
MADE, EXPIRES = "2026-11-21T12:00:00Z", "2026-11-24T12:00:00Z"

RANGE = {"start": "00:01:30.500", "end": 95.25}
ACCEPTED = {"id": JOB_ID, "status": "queued", "progress": 0.0, "expiresAt": EXPIRES}
JOB = {
    "id": JOB_ID,
    "status": "done",
    "stage": "clipping",
    "progress": 100.0,
    "sourceType": "upload",
    "start": 90.5,
    "end": 95.25,
    "actualStart": 90.5,
    "actualEnd": 95.25,
    "cutPath": "smart",
    "accuracy": "exact",
    "priority": "normal",
    "attempts": 1,
    "withSubtitles": False,
    "burnSubtitles": False,
    "subtitleLang": "auto",
    "subtitleTask": "transcribe",
    "subtitleStyle": "default",
    "subtitlesEdited": False,
    "resultVideoKey": f"results/{JOB_ID}/clip.mp4",
    "correlationId": EXAMPLE_ID,
    "createdAt": MADE,
    "updatedAt": "2026-11-21T12:00:02Z",
    "expiresAt": EXPIRES,
}
STARTED = {"ts": "2026-11-21T12:00:01Z", "type": "stage.started", "data": {"stage": "clipper", "attempt": 1}}
CUE = {"start": 0.4, "end": 2.1, "lines": ["Good evening.", "Here is the news."]}
PROBE = {"accepted": True, "duration": 3600.0, "size": 734003200, "container": "mov", "section": False}
FILE = {"key": f"results/{JOB_ID}/clip.mp4", "url": f"https://files.example.com/results/{JOB_ID}/clip.mp4?X-Amz-Signature=…"}
OVERVIEW = {
    "correlationId": EXAMPLE_ID,
    "queues": [{"stage": "clipper", "lane": "normal", "pending": 3, "ackPending": 2, "oldestSeconds": 4.2}],
    "jobs": {"byStatus": {"queued": 3, "processing": 2, "done": 210, "failed": 1, "cancelled": 0}, "byStage": {"clipper": 2}},
    "failures": [{"code": "INTERNAL", "count": 1, "hint": "Tell the operator the correlationId."}],
    "deadLetters": 1,
    "unknown": [],
    "measuredAt": MADE,
}
UPLOAD_ID = UPLOAD_KEY.split("/")[1]
UPLOAD_HEADERS = {"Content-Type": "video/mp4", "Content-Length": "5242880"}
UPLOAD_TICKET = {
    "uploadKey": UPLOAD_KEY,
    "url": f"https://files.example.com/{UPLOAD_KEY}?uploadId=…&partNumber=1&X-Amz-Signature=…",
    "method": "PUT",
    "headers": UPLOAD_HEADERS,
    "expiresAt": "2026-11-21T12:15:00Z",
}
UPLOAD = {
    "uploadKey": UPLOAD_KEY,
    "uploadId": UPLOAD_ID,
    "state": "uploading",
    "size": 13631488,
    "contentType": "video/mp4",
    "partSize": 8388608,
    "received": [1],
    "parts": [
        {
            "number": 2,
            "size": 5242880,
            "url": f"https://files.example.com/{UPLOAD_KEY}?uploadId=…&partNumber=2&X-Amz-Signature=…",
            "headers": UPLOAD_HEADERS,
        }
    ],
    "expiresAt": "2026-11-21T12:15:00Z",
    "keptUntil": "2026-11-22T12:00:00Z",
}
SECRET = {"id": "3b2c6e0e-8f0f-4c61-9a55-2f1f5f7c9d10", "createdAt": MADE}
DELIVERY = {
    "id": "9f6f0c62-3d7b-5a52-8c5e-0d9a4b1f2e33",
    "type": "job.done",
    "run": 1,
    "state": "delivered",
    "createdAt": "2026-11-21T12:00:02Z",
    "attempts": [
        {"at": "2026-11-21T12:00:02Z", "error": "timeout", "milliseconds": 15000},
        {"at": "2026-11-21T12:00:22Z", "status": 204, "milliseconds": 31},
    ],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "NewJob": {
        "an upload": {"sourceType": "upload", "uploadKey": UPLOAD_KEY, **RANGE},
        "a URL, with subtitles": {
            "sourceType": "youtube",
            "youtubeUrl": "https://www.youtube.com/watch?v=aqz-KE-bpKQ&t=90",
            "end": "1m45s",
            "withSubtitles": True,
            "burnSubtitles": True,
            "metadata": {"show": "evening news"},
        },
    },
    "NewUpload": {"a file": {"file": "the file's bytes", **{name: str(value) for name, value in RANGE.items()}}},
    "NewProbe": {"an upload": {"sourceType": "upload", "uploadKey": UPLOAD_KEY, **RANGE}},
    "UploadWish": {"a file": {"size": 7340032, "filename": "talk.mp4", "contentType": "video/mp4"}},
    "NewTranscript": {"two lines": {"language": "en", "cues": [CUE]}},
    "ReplayRequest": {"one letter": {"seq": 12, "by": "ada"}, "a stage's": {"stage": "clipper"}},
    "NewKey": {"a client's": {"name": "newsroom", "scopes": ["jobs:write", "jobs:read"]}},
    "Rotation": {"with a day of grace": {"graceHours": 24}},
    "Accepted": {"taken on": {"correlationId": EXAMPLE_ID, "job": ACCEPTED}},
    "UploadTicket": {"a small file": UPLOAD_TICKET},
    "UploadView": {"one part is missing": UPLOAD},
    "JobAnswer": {"done": {"correlationId": EXAMPLE_ID, "job": JOB, "events": [STARTED]}},
    "JobsAnswer": {"one page": {"correlationId": EXAMPLE_ID, "jobs": [JOB]}},
    "ResultAnswer": {"a clip": {"correlationId": EXAMPLE_ID, "result": {"id": JOB_ID, "video": FILE}}},
    "ProbeAnswerView": {"a file": {"correlationId": EXAMPLE_ID, "probe": PROBE}},
    "NewSecretAnswer": {"made": {"correlationId": EXAMPLE_ID, "secret": {**SECRET, "secret": "whsec_…"}}},
    "SecretsAnswer": {"one is live": {"correlationId": EXAMPLE_ID, "secrets": [SECRET]}},
    "DeliveriesAnswer": {"heard at the second attempt": {"correlationId": EXAMPLE_ID, "deliveries": [DELIVERY]}},
    "DeliveryAnswer": {"ordered again": {"correlationId": EXAMPLE_ID, "delivery": {**DELIVERY, "state": "pending", "nextAttemptAt": MADE}}},
    "OverviewAnswer": {"a busy moment": OVERVIEW},
    "Alive": {"alive": {"status": "alive"}},
    "Readiness": {"ready": {"status": "ready", "dependencies": {"postgres": {"up": True, "latencyMs": 0.8}}}},
}

_STREAMED = '{"ts":"2026-11-21T12:00:01Z","type":"stage.started","data":{"stage":"clipper","attempt":1},"job":'
TEXTS = {
    "text/vtt": "WEBVTT\n\n00:00.400 --> 00:02.100\nGood evening.\nHere is the news.\n",
    "application/x-subrip": "1\n00:00:00,400 --> 00:00:02,100\nGood evening.\nHere is the news.\n",
    "text/event-stream": "retry: 2000\n\nid: 4\nevent: stage.started\ndata: "
    + _STREAMED
    + '{"status":"processing","stage":"clipping","progress":30.0}}\n\n',
}
"""By media type."""
