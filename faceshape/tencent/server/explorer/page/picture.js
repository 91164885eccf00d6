// A file that somebody chose → a picture that the API takes, reduced where its limits ask for it.

/** A picture that cannot be sent; `words` names the reason in texts.js. */
export class PictureError extends Error {
  constructor(words, values) {
    super(words);
    this.words = words;
    this.values = values;
  }
}

const SIGNATURES = [
  { type: "JPEG", bytes: [0xff, 0xd8, 0xff] },
  { type: "PNG", bytes: [0x89, 0x50, 0x4e, 0x47] },
  { type: "BMP", bytes: [0x42, 0x4d] },
];
const QUALITIES = [0.92, 0.85, 0.75];
const SHRINK = 0.8;

/**
 * Return a picture as it will be sent.
 *
 * A file that the API takes is sent as it is. The server turns it upright by its EXIF orientation,
 * and so does the browser, so both mean the same pixels. Another one is sent as a JPEG copy, made
 * of what the browser shows.
 *
 * @param {File} file
 * @param {object} limits of the API, as server.json gives them
 * @returns {name, blob, base64, width, height, note}: width and height upright; note is null, or
 *   {words, values} when blob is a copy
 * @throws {PictureError} no picture, too small, or not to be reduced
 */
export async function readPicture(file, limits) {
  const image = await decode(file);
  const { naturalWidth: width, naturalHeight: height } = image;
  if (Math.min(width, height) < limits.short_side) {
    throw new PictureError("tooSmall", { width, height, least: limits.short_side });
  }
  const head = new Uint8Array(await file.slice(0, 4).arrayBuffer());
  const type = SIGNATURES.find(({ bytes }) => bytes.every((byte, i) => head[i] === byte))?.type;
  const longest = type === "JPEG" ? limits.long_side_jpeg : limits.long_side_other;
  const fits =
    Math.max(width, height) <= longest &&
    width * height <= limits.pixels &&
    encodedLength(file.size) <= limits.base64_characters;
  if (type && fits && !(await hasOwnOrientation(file, type))) {
    return { name: file.name, blob: file, base64: await base64(file), width, height, note: null };
  }
  const copy = await jpegCopy(image, limits);
  const name = `${file.name.replace(/\.\w+$/, "")}-copy.jpg`;
  const note = fits
    ? { words: "converted", values: { type: describe(file, type) } }
    : { words: "reduced", values: { width: copy.width, height: copy.height } };
  return { ...copy, name, base64: await base64(copy.blob), note };
}

const encodedLength = (count) => 4 * Math.ceil(count / 3);

function describe(file, type) {
  return type ? `${type} + EXIF` : file.type.replace("image/", "").toUpperCase() || "?";
}

async function decode(file) {
  const image = new Image();
  image.src = URL.createObjectURL(file);
  try {
    await image.decode();
  } catch {
    throw new PictureError("notAPicture", { name: file.name });
  } finally {
    URL.revokeObjectURL(image.src);
  }
  return image;
}

// Browsers disagree about the orientation in a PNG's EXIF block; the server goes by it.
async function hasOwnOrientation(file, type) {
  if (type !== "PNG") {
    return false;
  }
  const text = new TextDecoder("latin1").decode(await file.arrayBuffer());
  return /eXIf|Raw profile type (exif|APP1)|tiff:Orientation/.test(text);
}

async function jpegCopy(image, limits) {
  const { naturalWidth, naturalHeight } = image;
  let scale = Math.min(1, limits.long_side_jpeg / Math.max(naturalWidth, naturalHeight));
  for (;;) {
    const width = Math.round(scale * naturalWidth);
    const height = Math.round(scale * naturalHeight);
    if (Math.min(width, height) < limits.short_side) {
      const words = scale < 0.5 ? "tooLong" : "tooHeavy";
      throw new PictureError(words, { width: naturalWidth, height: naturalHeight });
    }
    const canvas = draw(image, width, height);
    for (const quality of QUALITIES) {
      const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", quality));
      if (blob && encodedLength(blob.size) <= limits.base64_characters) {
        return { blob, width, height };
      }
    }
    scale *= SHRINK;
  }
}

function draw(image, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  context.fillStyle = "white"; // what the server lays transparency over
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(image, 0, 0, width, height);
  return canvas;
}

function base64(blob) {
  return new Promise((done, failed) => {
    const reader = new FileReader();
    reader.onload = () => done(reader.result.slice(reader.result.indexOf(",") + 1));
    reader.onerror = () => failed(reader.error);
    reader.readAsDataURL(blob);
  });
}
