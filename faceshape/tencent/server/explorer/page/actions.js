// The actions that the page can call: their parameters beside Image and Url, in the order of the
// API document. `choices` makes a list, a number field has `least` and `most`.

export const VERSION = "2020-03-03";

const SWITCH = [
  { value: 0, words: "off" },
  { value: 1, words: "on" },
];
const MODEL = {
  name: "FaceModelVersion",
  standard: "3.0",
  choices: [{ value: "3.0" }, { value: "2.0" }],
};
const ROTATE = { name: "NeedRotateDetection", standard: 0, choices: SWITCH };

export const ACTIONS = {
  AnalyzeFace: [
    {
      name: "Mode",
      standard: 0,
      choices: [
        { value: 0, words: "Mode0" },
        { value: 1, words: "Mode1" },
      ],
    },
    MODEL,
    ROTATE,
  ],
  DetectFace: [
    { name: "MaxFaceNum", standard: 1, least: 1, most: 120 },
    { name: "MinFaceSize", standard: 34, choices: [{ value: 34 }, { value: 20 }] },
    { name: "NeedFaceAttributes", standard: 0, choices: SWITCH },
    { name: "NeedQualityDetection", standard: 0, choices: SWITCH },
    MODEL,
    ROTATE,
  ],
};
