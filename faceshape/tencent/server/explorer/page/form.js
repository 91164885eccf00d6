// The form: which action with which parameters, and the keys. The picture is not its concern.

import { ACTIONS, VERSION } from "./actions.js";
import { canSign } from "./signing.js";
import { language, text } from "./texts.js";

const STORED_KEYS = "faceshape.explorer.keys";

const find = (id) => document.getElementById(id);

/** The part of the form that says what to call, and as whom. */
export class CallForm {
  /**
   * @param {{anySignature: boolean, urls: boolean}} server
   * @param {() => void} onChange anything has changed
   */
  constructor(server, onChange) {
    this.server = server;
    this.onChange = onChange;
    this.action = Object.keys(ACTIONS)[0];
    this.given = {}; // parameter → value, as chosen; kept when the action changes
    this.makeActions();
    this.restoreKeys();
    for (const id of ["url", "region", "token", "secret-id", "secret-key"]) {
      find(id).addEventListener("input", onChange);
    }
    for (const id of ["secret-id", "secret-key", "remember"]) {
      find(id).addEventListener("change", () => this.storeKeys());
    }
    find("show-key").addEventListener("click", () => {
      const shown = find("secret-key").type === "password";
      find("secret-key").type = shown ? "text" : "password";
      find("show-key").setAttribute("aria-pressed", String(shown));
    });
  }

  /** What the form asks for; `request.js` says what this is. */
  call() {
    const names = ACTIONS[this.action].map(({ name }) => name);
    const sent = names.filter((name) => this.given[name] !== undefined);
    return {
      action: this.action,
      version: VERSION,
      region: find("region").value.trim(),
      language: language() === "zh" ? "zh-CN" : "en-US",
      parameters: Object.fromEntries(sent.map((name) => [name, this.given[name]])),
      url: find("url").value.trim(),
      token: find("token").value.trim(),
    };
  }

  keys() {
    return { secretId: find("secret-id").value.trim(), secretKey: find("secret-key").value.trim() };
  }

  /** Write what depends on the language, and on the action. */
  render() {
    find("action-about").textContent = text(`about${this.action}`);
    find("url-about").textContent = text(this.server.urls ? "urlAllowed" : "urlRefused");
    const signing = this.server.anySignature ? "keysOptional" : "keysNeeded";
    find("keys-about").textContent = text(canSign() ? signing : "keysImpossible");
    find("parameters").replaceChildren(...ACTIONS[this.action].map((one) => this.field(one)));
  }

  makeActions() {
    for (const name of Object.keys(ACTIONS)) {
      const label = document.createElement("label");
      const radio = document.createElement("input");
      Object.assign(radio, { type: "radio", name: "action", value: name });
      radio.checked = name === this.action;
      radio.addEventListener("change", () => {
        this.action = name;
        this.render();
        this.onChange();
      });
      label.append(radio, name);
      find("actions").append(label);
    }
  }

  field(parameter) {
    const { name, choices } = parameter;
    const field = document.createElement("div");
    field.className = "field";
    const label = document.createElement("label");
    const about = document.createElement("p");
    const input = choices ? this.list(parameter) : number(parameter);
    input.id = `parameter-${name}`;
    label.htmlFor = input.id;
    label.textContent = name;
    about.id = `${input.id}-about`;
    about.className = "quiet";
    about.textContent = text(name);
    input.setAttribute("aria-describedby", about.id);
    input.value = this.given[name] ?? "";
    input.addEventListener("input", () => {
      const isNumber = typeof parameter.standard === "number";
      const value = isNumber ? Number(input.value) : input.value;
      this.given[name] = input.value === "" || Number.isNaN(value) ? undefined : value;
      this.onChange();
    });
    field.append(label, input, about);
    return field;
  }

  list({ choices, standard }) {
    const list = document.createElement("select");
    list.add(new Option(text("notSent", { value: standard }), ""));
    for (const { value, words } of choices) {
      list.add(new Option(words ? text(words) : value, value));
    }
    return list;
  }

  restoreKeys() {
    const stored = JSON.parse(localStorage.getItem(STORED_KEYS) ?? "null");
    if (stored) {
      find("secret-id").value = stored.secretId;
      find("secret-key").value = stored.secretKey;
      find("remember").checked = true;
    }
  }

  storeKeys() {
    if (find("remember").checked) {
      localStorage.setItem(STORED_KEYS, JSON.stringify(this.keys()));
    } else {
      localStorage.removeItem(STORED_KEYS);
    }
  }
}

function number({ least, most, standard }) {
  const input = document.createElement("input");
  Object.assign(input, { type: "number", step: 1, min: least, max: most, inputMode: "numeric" });
  input.placeholder = text("notSent", { value: standard });
  return input;
}
