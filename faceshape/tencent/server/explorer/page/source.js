// Where the picture comes from: a file that is chosen, dropped or pasted, or a photograph.

import { hasCamera, photograph } from "./camera.js";
import { PictureError, readPicture } from "./picture.js";
import { text } from "./texts.js";

const find = (id) => document.getElementById(id);
const FORGET_AFTER = 60_000; // milliseconds

/** The part of the form that holds the picture. */
export class PictureSource {
  /**
   * @param {object} limits of the API
   * @param {() => void} onChange there is another picture, or none any more
   */
  constructor(limits, onChange) {
    this.limits = limits;
    this.onChange = onChange;
    this.picture = null; // as `readPicture` returns it, with its address `href`
    this.problem = null; // {words, values}
    this.reading = 0;
    find("choose").addEventListener("click", () => find("file").click());
    find("photograph").addEventListener("click", () => this.photograph());
    for (const id of ["file", "phone-camera"]) {
      find(id).addEventListener("change", ({ target }) => {
        this.read(target.files[0]);
        target.value = ""; // the same file may be chosen again
      });
    }
    document.addEventListener("paste", (event) => this.take(event, event.clipboardData));
    document.addEventListener("dragover", (event) => this.drag(event, true));
    document.addEventListener("dragleave", (event) => this.drag(event, event.relatedTarget !== null));
    document.addEventListener("drop", (event) => {
      this.drag(event, false);
      this.take(event, event.dataTransfer);
    });
  }

  drag(event, over) {
    if (event.dataTransfer.types.includes("Files")) {
      event.preventDefault(); // or the browser leaves the page for the file
      find("drop").classList.toggle("over", over);
    }
  }

  take(event, { files }) {
    if (files.length > 0) {
      event.preventDefault();
      this.read(files[0]);
    }
  }

  async photograph() {
    if (!hasCamera()) {
      find("phone-camera").click(); // phones open their camera for this, others choose a file
      return;
    }
    try {
      await this.read(await photograph(find("camera")));
    } catch (error) {
      this.fail({ words: "cameraFailed", values: { reason: error.message } });
    }
  }

  async read(file) {
    if (!file) {
      return;
    }
    const turn = ++this.reading;
    try {
      const picture = await readPicture(file, this.limits);
      if (turn === this.reading) {
        this.replace(picture, null);
      }
    } catch (error) {
      if (!(error instanceof PictureError)) {
        throw error;
      }
      if (turn === this.reading) {
        this.replace(null, error);
      }
    }
  }

  fail(problem) {
    this.problem = problem;
    this.render();
  }

  replace(picture, problem) {
    if (this.picture) {
      const { href } = this.picture;
      // It may still be shown, or on its way to the disk.
      setTimeout(() => URL.revokeObjectURL(href), FORGET_AFTER);
    }
    this.picture = picture && { ...picture, href: URL.createObjectURL(picture.blob) };
    this.problem = problem;
    this.render();
    this.onChange();
  }

  /** Write what is known of the picture. */
  render() {
    const { picture, problem } = this;
    find("picture-name").hidden = !picture;
    find("picture-name").textContent = picture?.name ?? "";
    find("picture-about").textContent = picture
      ? text("pictureFacts", {
          width: picture.width,
          height: picture.height,
          kilobytes: Math.ceil(picture.blob.size / 1024),
        })
      : text("pictureAbout");
    const note = problem ?? picture?.note;
    const box = find("picture-note");
    box.hidden = !note;
    box.classList.toggle("problem", Boolean(problem));
    box.replaceChildren(note ? text(note.words, note.values) : "");
    if (picture?.note) {
      const link = document.createElement("a");
      Object.assign(link, { href: picture.href, download: picture.name });
      link.textContent = text("saveCopy");
      box.append(" ", text("saveForCode"), " ", link);
    }
  }
}
