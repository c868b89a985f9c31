// The state of each group, in the fragment of the address, so that a view can be linked to.
const NEVER = /[^\S ]/g;

function readAddress(prefix) {
  const found = {};
  for (const [key, value] of new URLSearchParams(location.hash.slice(1))) {
    const own = prefix ? key.startsWith(prefix) : !/^\d+\./.test(key);
    if (own) found[key.slice(prefix.length)] = value.replace(NEVER, " ").slice(0, 2000);
  }
  return found;
}

function writeAddress(views) {
  const all = new URLSearchParams();
  for (const view of views) {
    for (const [key, value] of Object.entries(view.state)) {
      if (value && value !== view.defaults[key]) all.append(view.prefix + key, value);
    }
  }
  const text = all.toString();
  if (text === location.hash.slice(1)) return;
  history.replaceState(null, "", text ? `#${text}` : location.pathname + location.search);
}

// A list of names in one text: "a|b"; a bar within a name is escaped.
const names = (text) => (text
  ? text.split("|").map((name) => name.replaceAll("%7C", "|").replaceAll("%25", "%")) : []);
const listed = (list) => list.map((name) => name.replace(/[%|]/g, encodeURIComponent)).join("|");

// Add or remove a name in a list of the state.
function toggled(text, name, on) {
  const others = names(text).filter((other) => other !== name);
  return listed(on ? [...others, name] : others);
}

// Return an element with attributes and content; content is always text or another element.
function make(tag, attributes = {}, ...content) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...content);
  return element;
}
