// What a job's states are called for people, and which stages it goes through. Pure.

import { format } from "./times.js";

const STATUS = { queued: "Waiting", processing: "At work", done: "Done", failed: "Failed", cancelled: "Cancelled" };
const STAGES = {
  uploading: "Uploading",
  queued: "Waiting",
  resolving: "Reading the source",
  clipping: "Cutting",
  transcribing: "Subtitles",
  burning: "Burning in",
};

export const statusWord = (status) => STATUS[status] ?? status;
export const stageWord = (stage) => STAGES[stage] ?? stage;

/** The stages in their order, of this job. */
export function stagesOf(job) {
  const own = job.uploads ? ["uploading"] : [];
  return [...own, "queued", "resolving", "clipping", ...(job.withSubtitles ? ["transcribing"] : []), ...(job.burnSubtitles ? ["burning"] : [])];
}

export function rangeOf(job) {
  if (job.segments) return `${job.segments.length} ranges, joined`;
  return `${format(job.start)} to ${format(job.end)}`;
}

export const nameOf = (job) => job.metadata?.title || (job.sourceType === "upload" ? "A file" : "A video by its address");
