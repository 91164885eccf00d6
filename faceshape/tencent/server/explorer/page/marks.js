// What an answer has to draw: points of AnalyzeFace, boxes of DetectFace. The path of a mark leads
// to it in the JSON: "FaceShapeSet.0.Mouth.3".

/**
 * Return the marks of an answer.
 *
 * @param {object} content what is in "Response"
 * @param {string[]} groupNames in the order of the API document
 * @returns {width, height, faces}: of the picture in pixels; faces are {groups, box}, groups map a
 *   name to its points {path, label, x, y}, and box is null or {path, label, x, y, width, height}
 */
export function marksOf(content, groupNames) {
  const shapes = content.FaceShapeSet ?? [];
  const boxes = content.FaceInfos ?? [];
  const prefix = (face, count) => (count > 1 ? `#${face + 1} ` : "");
  const points = (shape, face, name) =>
    (shape[name] ?? []).map(({ X: x, Y: y }, index) => ({
      path: `FaceShapeSet.${face}.${name}.${index}`,
      label: `${prefix(face, shapes.length)}${name}[${index}]  ${x}, ${y}`,
      x,
      y,
    }));
  const faces = [
    ...shapes.map((shape, face) => ({
      groups: new Map(groupNames.map((name) => [name, points(shape, face, name)])),
      box: null,
    })),
    ...boxes.map(({ X: x, Y: y, Width: width, Height: height }, face) => ({
      groups: new Map(),
      box: {
        path: `FaceInfos.${face}`,
        label: `${prefix(face, boxes.length)}${x}, ${y}  ${width} × ${height}`,
        x,
        y,
        width,
        height,
      },
    })),
  ];
  return { width: content.ImageWidth, height: content.ImageHeight, faces };
}
