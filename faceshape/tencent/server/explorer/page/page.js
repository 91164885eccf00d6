// The page: brings the form, the request, the picture and the texts together.

import { LANGUAGES } from "./code/index.js";
import { Drawing } from "./drawing.js";
import { CallForm } from "./form.js";
import { JsonView } from "./json-view.js";
import { marksOf } from "./marks.js";
import { asText, prepare, send } from "./request.js";
import { PictureSource } from "./source.js";
import { makeTabs } from "./tabs.js";
import { language, setLanguage, text, writeTexts } from "./texts.js";

const NARROW = matchMedia("(max-width: 46rem)"); // as in style.css: the result is below the form

const find = (id) => document.getElementById(id);

const server = await (await fetch("server.json")).json();
const groupNames = server.groups.map(({ name }) => name);

const source = new PictureSource(server.limits, pictureChanged);
const form = new CallForm(server, renderCode);
const drawing = new Drawing(find("stage"), find("view"), server.groups, pointAt);
const json = new JsonView(find("response"), (path) => highlight(path, false));

let outcome = null; // of the last call: {call, request, answer, content, marks, problem}
let programming = LANGUAGES[0];

const selectDetail = makeTabs(find("tabs"), (tab) => {
  for (const panel of document.querySelectorAll('[role="tabpanel"][id^="panel-"]')) {
    panel.hidden = panel.id !== tab.getAttribute("aria-controls");
  }
});

for (const { id, name } of LANGUAGES) {
  const tab = document.createElement("button");
  Object.assign(tab, { type: "button", id: `code-${id}`, textContent: name });
  tab.setAttribute("role", "tab");
  tab.setAttribute("aria-controls", "code-panel");
  find("languages").append(tab);
}
makeTabs(find("languages"), (tab) => {
  programming = LANGUAGES.find(({ id }) => tab.id === `code-${id}`);
  find("code-panel").setAttribute("aria-labelledby", tab.id);
  renderCode();
});

for (const group of server.groups) {
  find("legend").append(legendButton(group));
}

for (const name of ["zh", "en"]) {
  find(`language-${name}`).addEventListener("click", () => {
    setLanguage(name);
    render();
  });
}

for (const button of document.querySelectorAll("[data-copy]")) {
  button.addEventListener("click", () => copy(button));
}

find("call").addEventListener("submit", (event) => {
  event.preventDefault();
  call();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
    event.preventDefault();
    find("call").requestSubmit();
  }
});
find("code-path").addEventListener("input", renderCode);
find("zoom").addEventListener("click", () => {
  const zoomed = find("zoom").getAttribute("aria-pressed") !== "true";
  find("zoom").setAttribute("aria-pressed", String(zoomed));
  drawing.zoom(zoomed);
});

render();
document.documentElement.dataset.ready = "true";

/** Send what the form says, and show everything about it. */
async function call() {
  const asked = form.call();
  if (!asked.url && !source.picture) {
    source.fail({ words: "noPicture", values: {} });
    find("choose").focus();
    return;
  }
  if (find("send").disabled) {
    return;
  }
  const picture = asked.url ? null : source.picture;
  find("send").disabled = true;
  find("result").setAttribute("aria-busy", "true");
  find("status").className = "";
  find("status").textContent = text("sending");
  try {
    const request = await prepare({ ...asked, file: picture }, form.keys());
    outcome = { call: asked, picture, request, ...(await answerTo(request)) };
  } finally {
    find("send").disabled = false;
    find("result").removeAttribute("aria-busy");
  }
  renderOutcome();
  selectDetail(find("tab-response"));
  if (NARROW.matches) {
    find("result").scrollIntoView();
  }
}

async function answerTo(request) {
  try {
    const answer = await send(request);
    const response = parse(answer.text);
    return response ? { answer, response } : { answer, problem: "unreadable" };
  } catch (error) {
    if (!(error instanceof TypeError)) {
      throw error;
    }
    return { problem: "unreachable" };
  }
}

function parse(answer) {
  try {
    const value = JSON.parse(answer);
    return typeof value?.Response === "object" ? value : null;
  } catch {
    return null;
  }
}

function pictureChanged() {
  find("code-path").value = source.picture?.name ?? "";
  outcome = null;
  renderOutcome();
  renderCode();
}

/** Write everything that has words or depends on them. */
function render() {
  writeTexts();
  const kind = server.anySignature ? "serverOpen" : "serverSigned";
  find("server").textContent = text(kind, { host: location.host });
  for (const name of ["zh", "en"]) {
    find(`language-${name}`).setAttribute("aria-pressed", String(name === language()));
  }
  drawing.svg.setAttribute("aria-label", text("drawing"));
  form.render();
  source.render();
  renderOutcome();
  renderCode();
}

function renderOutcome() {
  renderStatus();
  renderPicture();
  renderRequest();
  const { answer, response } = outcome ?? {};
  find("response-block").hidden = !answer;
  find("response-about").hidden = Boolean(answer);
  if (response) {
    const shapes = [...drawing.shapes.keys()];
    json.show(response, new Set(shapes));
  } else {
    find("response").textContent = answer?.text ?? "";
  }
}

function renderStatus() {
  const box = find("status");
  box.className = "";
  box.replaceChildren();
  if (!outcome) {
    return;
  }
  const { answer, response, problem } = outcome;
  const error = response?.Response.Error;
  box.className = error || problem ? "problem" : "good";
  const facts = [];
  if (problem) {
    facts.push(chip(text("unanswered"), "code"));
    facts.push(chip(text(problem, { host: location.host, status: answer?.status })));
  } else if (error) {
    facts.push(chip(error.Code, "code"), chip(error.Message));
  } else {
    facts.push(chip("OK", "code"), ...counts(response.Response));
  }
  if (answer) {
    const time = chip(text("time", { milliseconds: answer.milliseconds.toFixed(0) }), "time");
    time.title = text("timeTitle");
    facts.push(time);
  }
  box.append(...facts);
  const hint = error && hintFor(error.Code);
  if (hint) {
    box.append(chip(text(hint), "hint"));
  }
}

function counts(content) {
  const faces = (content.FaceShapeSet ?? content.FaceInfos ?? []).length;
  const points = (content.FaceShapeSet ?? [])
    .flatMap((shape) => groupNames.map((name) => shape[name]?.length ?? 0))
    .reduce((sum, count) => sum + count, 0);
  const found = [chip(faces === 1 ? text("faces1") : text("faces", { count: faces }))];
  return points > 0 ? [...found, chip(text("points", { count: points }))] : found;
}

function hintFor(code) {
  if (code.startsWith("AuthFailure")) {
    const { signed } = outcome.request;
    return !signed ? "keysImpossible" : signed.authorization ? "hintAuth" : "hintNoKeys";
  }
  const hints = {
    "InvalidParameterValue.NoFaceInPhoto": "hintNoFace",
    InvalidAction: "hintAction",
  };
  return hints[code];
}

function renderPicture() {
  const content = outcome?.response?.Response;
  const answered = Boolean(content?.ImageWidth);
  const shown = outcome ? outcome.picture : source.picture;
  const { width, height } = shown ?? {};
  const otherFrame =
    answered && shown && (width !== content.ImageWidth || height !== content.ImageHeight);
  find("empty").hidden = Boolean(shown) || answered;
  find("stage").hidden = !shown && !answered;
  find("image").hidden = !shown || otherFrame;
  if (shown) {
    find("image").src = shown.href;
    find("image").alt = text("pictureAlt", { name: shown.name });
  }
  drawing.draw(answered ? marksOf(content, groupNames) : null);
  find("zoom").hidden = drawing.shapes.size === 0;
  find("zoom").setAttribute("aria-pressed", "false");
  drawing.svg.toggleAttribute("hidden", !answered);
  find("stage").classList.toggle("bare", answered && (!shown || otherFrame));
  const hasPoints = answered && Boolean(content.FaceShapeSet);
  find("legend").hidden = !hasPoints;
  find("drawing-help").hidden = !answered;
  if (answered && (!shown || otherFrame)) {
    const facts = { width: content.ImageWidth, height: content.ImageHeight };
    find("status").append(chip(text(otherFrame ? "otherFrame" : "foreignPicture", facts), "hint"));
  }
}

function renderRequest() {
  const { request } = outcome ?? {};
  const signed = request?.signed;
  const characters = (count) => text("characters", { count: count.toLocaleString("en") });
  find("request-about").textContent = text(request ? "requestAbout" : "responseEmpty");
  find("request").textContent = request ? asText(request, characters) : "";
  const about = signed?.authorization ? "signatureAbout" : "unsignedAbout";
  const signing = request && !signed ? "keysImpossible" : about;
  find("signature-about").textContent = text(request ? signing : "responseEmpty");
  find("canonical-request").textContent = signed?.canonicalRequest ?? "";
  find("string-to-sign").textContent = signed?.stringToSign ?? "";
  find("authorization").textContent = signed?.authorization ?? (request ? text("notSigned") : "");
}

function renderCode() {
  const asked = form.call();
  const keys = form.keys();
  const anyKey = server.anySignature && !(keys.secretId && keys.secretKey);
  find("code").textContent = programming.code({
    ...asked,
    path: find("code-path").value || "picture.jpg",
    scheme: location.protocol.replace(":", ""),
    host: location.host,
    hostname: location.hostname,
    anyKey,
  });
  const parts = [
    text("codeInstall", { command: programming.install }),
    text(anyKey ? "codeAnyKeys" : "codeKeys"),
    ...(programming.note ? [text(programming.note)] : []),
  ];
  find("code-about").textContent = parts.join(" · ");
}

function legendButton({ name, colour, count }) {
  const button = document.createElement("button");
  const swatch = document.createElement("span");
  swatch.className = "swatch";
  swatch.style.backgroundColor = colour;
  button.type = "button";
  button.dataset.group = name;
  button.setAttribute("aria-pressed", "true");
  button.append(swatch, `${name} ${count}`);
  button.addEventListener("click", () => {
    const shown = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(shown));
    drawing.showGroup(name, shown);
  });
  return button;
}

function pointAt(mark, picked) {
  if (picked && mark) {
    selectDetail(find("tab-response"));
  }
  highlight(mark?.path ?? null, true);
  find("announcer").textContent = mark && document.activeElement === drawing.svg ? mark.label : "";
}

function highlight(path, scroll) {
  drawing.highlight(path);
  json.highlight(path, scroll);
}

async function copy(button) {
  const source = find(button.dataset.copy);
  if (navigator.clipboard) {
    await navigator.clipboard.writeText(source.textContent);
  } else {
    getSelection().selectAllChildren(source); // browsers offer the clipboard as they do WebCrypto
    document.execCommand("copy");
  }
  button.textContent = text("copied");
  find("announcer").textContent = text("copied");
  setTimeout(() => (button.textContent = text("copy")), 1500);
}

function chip(words, kind = "") {
  const span = document.createElement("span");
  span.className = `chip ${kind}`;
  span.textContent = words;
  return span;
}
