// What to make beside the clip: the form on the marking page, read into fields of POST /api/jobs.

import { facts, find, show } from "./dom.js";

const USUAL = ["en", "de", "es", "fr", "it", "pt", "nl", "pl", "ru", "uk", "tr", "ar", "hi", "zh", "ja", "ko"];
const names = new Intl.DisplayNames("en", { type: "language" });

export function prepare() {
  const known = facts.languages.filter((code) => code !== "nb").sort((one, other) => rank(one) - rank(other) || name(one).localeCompare(name(other)));
  if (known.length > 1) find("language").append(new Option("Found out from what is said", "auto"));
  find("language").append(...known.map((code) => new Option(name(code), code)));
  find("options").addEventListener("change", reveal);
  reveal();
}

const name = (code) => names.of(code) ?? code;
const rank = (code) => (USUAL.indexOf(code) + USUAL.length + 1) % (USUAL.length + 1);

/** What depends on a choice is there only with it. */
function reveal() {
  const { subtitles, burn } = elements();
  show(find("subtitle-options"), subtitles.checked);
  show(find("more-subtitles"), subtitles.checked);
  show(find("translate-row"), facts.translates);
  show(find("styles"), burn.checked);
  show(find("vertical-options"), presets().includes("vertical"));
  show(find("audio-options"), presets().includes("audio"));
}

const elements = () => find("options").elements;
const presets = () => new FormData(find("options")).getAll("presets");

/** Only what differs from the API's own defaults. */
export function fields() {
  const form = new FormData(find("options"));
  const said = form.has("withSubtitles");
  const burned = said && form.has("burnSubtitles");
  const wanted = {
    accuracy: form.get("accuracy"),
    presets: presets(),
    verticalFit: presets().includes("vertical") && form.get("verticalFit"),
    audioFormat: presets().includes("audio") && form.get("audioFormat"),
    withSubtitles: said,
    subtitleLang: said && form.get("subtitleLang"),
    subtitlePrompt: said && form.get("subtitlePrompt").trim(),
    subtitleTask: said && form.has("translate") && "translate",
    burnSubtitles: burned,
    subtitleStyle: burned && form.get("subtitleStyle"),
  };
  return Object.fromEntries(Object.entries(wanted).filter(([, value]) => value && value.length !== 0));
}
