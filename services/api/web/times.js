// Times as people write and read them. Pure: seconds are numbers, rounded to the millisecond.

const CLOCK = /^(?:(\d{1,2}):)?(\d{1,4}):(\d{1,2}(?:[.,]\d{1,9})?)$/;
const SECONDS = /^\d{1,9}(?:[.,]\d{1,9})?$/;
const UNITS = /^(?=.)(?:(\d{1,2})h)?(?:(\d{1,4})m(?:in)?)?(?:(\d{1,6}(?:[.,]\d{1,9})?)s?)?$/;
const number = (text) => Number((text ?? "0").replace(",", "."));

/** Seconds of `1:02:03.5`, `90` or `1m30s`; null for what is no time. */
export function parse(text) {
  const written = text.trim().toLowerCase().replace(/\s+/g, "");
  if (SECONDS.test(written)) return rounded(number(written));
  const clock = CLOCK.exec(written);
  if (clock) return onClock(clock);
  const units = UNITS.exec(written);
  return units ? rounded(number(units[1]) * 3600 + number(units[2]) * 60 + number(units[3])) : null;
}

function onClock([, hours, minutes, seconds]) {
  if (number(seconds) >= 60 || (hours !== undefined && number(minutes) >= 60)) return null;
  return rounded(number(hours) * 3600 + number(minutes) * 60 + number(seconds));
}

export const rounded = (seconds) => Math.round(seconds * 1000) / 1000;

/** `1:02:03.5`: hours only where there are some, fractions as far as they go. */
export function format(seconds, { digits } = {}) {
  const all = digits === undefined ? rounded(seconds) : Number(seconds.toFixed(digits));
  const hours = Math.floor(all / 3600);
  const minutes = Math.floor(all / 60) % 60;
  const rest = rounded(all - hours * 3600 - minutes * 60);
  const written = digits === undefined ? String(rest) : rest.toFixed(digits);
  const [whole, part] = written.split(".");
  const clock = [...(hours ? [hours, String(minutes).padStart(2, "0")] : [minutes]), whole.padStart(2, "0")].join(":");
  return part ? `${clock}.${part}` : clock;
}

/** For people who listen: "1 minute 3.5 seconds". */
export function spoken(seconds) {
  const all = rounded(seconds);
  const parts = [
    [Math.floor(all / 3600), "hour"],
    [Math.floor(all / 60) % 60, "minute"],
    [rounded(all % 60), "second"],
  ];
  const said = parts.filter(([count]) => count).map(([count, word]) => `${count} ${word}${count === 1 ? "" : "s"}`);
  return said.join(" ") || "0 seconds";
}

/** "about 2 minutes", of a guess. */
export function roughly(seconds) {
  if (seconds < 5) return "a few seconds";
  if (seconds < 60) return `about ${Math.ceil(seconds / 5) * 5} seconds`;
  const minutes = Math.round(seconds / 60);
  return `about ${minutes} ${minutes === 1 ? "minute" : "minutes"}`;
}

const AGO = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** "5 minutes ago". */
export function ago(moment, now = Date.now()) {
  const seconds = (new Date(moment) - now) / 1000;
  const [unit, length] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, length]) => -seconds >= length) ?? ["second", 1];
  return unit === "second" && seconds > -30 ? "just now" : AGO.format(Math.round(seconds / length), unit);
}
