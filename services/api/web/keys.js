// The keys of the marking page. They do nothing while somebody types, and leave buttons and handles theirs.

const FIELDS = "input:not([type=checkbox], [type=radio]), select, textarea";
const PRESSED = "button, a, summary, input, [role=slider]";

export function listen(isWanted, player, marks) {
  const second = (event) => (event.shiftKey ? 1 : 0);
  const acts = {
    " ": () => player.toggle(),
    k: () => player.pause(),
    j: () => player.jump(-5),
    l: () => player.play(),
    m: () => player.mute(),
    i: () => marks.setIn(),
    o: () => marks.setOut(),
    ArrowLeft: (event) => (second(event) ? player.jump(-1) : player.step(-1)),
    ArrowRight: (event) => (second(event) ? player.jump(1) : player.step(1)),
  };
  document.addEventListener("keydown", (event) => {
    const act = acts[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || !isWanted() || !player.playable || event.defaultPrevented || isTheirs(event)) return;
    event.preventDefault();
    act(event);
  });
}

function isTheirs(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest(FIELDS)) return true;
  const moves = event.key.startsWith("Arrow") && event.target.closest("input, [role=slider]");
  return Boolean(moves || (event.key === " " && event.target.closest(PRESSED)));
}
