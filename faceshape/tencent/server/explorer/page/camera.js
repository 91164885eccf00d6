// A photograph through the computer's camera.

const SIZE = { width: { ideal: 1280 }, height: { ideal: 960 } };

/** Whether this page may use a camera: browsers offer it on https and localhost pages only. */
export const hasCamera = () => navigator.mediaDevices?.getUserMedia !== undefined;

/**
 * Show what the camera sees in a dialog, until a photograph is taken or the dialog is closed.
 *
 * @param {HTMLDialogElement} dialog with #viewfinder, #shutter and #camera-close
 * @returns {Promise<File|null>} null when nothing was taken
 * @throws {DOMException} the camera may not or cannot be used
 */
export async function photograph(dialog) {
  const video = dialog.querySelector("#viewfinder");
  const stream = await navigator.mediaDevices.getUserMedia({ video: SIZE });
  video.srcObject = stream;
  dialog.returnValue = "";
  dialog.showModal();
  dialog.querySelector("#shutter").onclick = () => dialog.close("taken");
  dialog.querySelector("#camera-close").onclick = () => dialog.close();
  await new Promise((closed) => dialog.addEventListener("close", closed, { once: true }));
  try {
    return dialog.returnValue === "taken" && video.videoWidth > 0 ? await still(video) : null;
  } finally {
    stream.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
  }
}

async function still(video) {
  const canvas = document.createElement("canvas");
  canvas.width = video.videoWidth;
  canvas.height = video.videoHeight;
  canvas.getContext("2d").drawImage(video, 0, 0);
  const blob = await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  return new File([blob], "photo.jpg", { type: "image/jpeg" });
}
