"use strict";
// Every page with a script begins with this. Nothing that comes from a server or a file is ever read as HTML: everything becomes
// text nodes.

const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children.filter((child) => child !== null && child !== ""));
  return made;
}

function say(text) {
  byId("said").textContent = text;
}
