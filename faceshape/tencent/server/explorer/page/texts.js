/** The page's words in English and Chinese; `text` fills in a {name} in them. */
export const WORDS = {
  en: {
    title: "API Explorer",
    skipToResult: "Skip to the result",
    language: "Language of the page and of the messages",
    serverSigned: "{host} · checks signatures",
    serverOpen: "{host} · accepts any signature",

    action: "Action",
    aboutAnalyzeFace: "90 landmarks of each face.",
    aboutDetectFace: "The bounding box of each face.",

    picture: "Picture",
    pictureAbout: "Choose a file, drop it here, or paste it. JPEG, PNG or BMP.",
    pictureFacts: "{width} × {height} pixels, {kilobytes} KB",
    choose: "Choose a file",
    photograph: "Take a photo",
    takePhoto: "Take the photo",
    viewfinder: "What the camera sees",
    cancel: "Cancel",
    cameraFailed: "The camera cannot be used: {reason}.",
    urlAllowed: "If both are given, the server takes the Url.",
    urlRefused: "Needs a server with --allow-urls.",

    noPicture: "Choose a picture first, or give a Url.",
    notAPicture: "{name} is no picture that this browser can read.",
    tooSmall: "{width} × {height} pixels: the short side must have at least {least}.",
    tooLong: "{width} × {height} pixels: too long and narrow to be reduced to what the API takes.",
    tooHeavy: "The picture is over 5 MB in base64 and cannot be reduced any further.",
    converted: "The API takes no {type}, so the page sends the picture as JPEG.",
    reduced: "The picture is over the API's limits, so the page sends a JPEG copy of {width} × {height} pixels.",
    saveCopy: "Save this copy",
    saveForCode: "The code on this page reads a file. For the same answer give it this copy.",

    parameters: "Parameters",
    notSent: "not sent ({value})",
    Mode: "Which faces are answered",
    Mode0: "0: all, at most 10",
    Mode1: "1: the largest",
    NeedRotateDetection: "Look for turned faces, too",
    FaceModelVersion: "Version of the model",
    MaxFaceNum: "How many faces at most, 1 to 120",
    MinFaceSize: "Least width and height of a face, in pixels",
    NeedFaceAttributes: "Age, expression and more",
    NeedQualityDetection: "Quality of each face",
    off: "0: no",
    on: "1: yes",

    keys: "Keys",
    keysNeeded: "The request is signed in this page; the SecretKey does not leave it.",
    keysOptional: "This server accepts any signature: leave the keys empty, or try signing with any.",
    keysImpossible: "Browsers sign only on https or localhost pages. This one can send unsigned requests only.",
    show: "Show",
    remember: "Keep the keys in this browser",
    more: "Region and token",
    send: "Send",
    sending: "Sending …",

    result: "Result",
    empty: "The picture appears here, with the points that the server finds.",
    faces1: "1 face",
    faces: "{count} faces",
    points: "{count} points",
    time: "{milliseconds} ms",
    timeTitle: "From sending the request to the last byte of the answer",
    unanswered: "No answer",
    unreachable: "The server at {host} does not answer.",
    unreadable: "The answer is no JSON of the API (status {status}).",
    hintAuth: "Check SecretId, SecretKey and this computer's clock.",
    hintNoKeys: "This server checks signatures: type in a SecretId and a SecretKey that it was started with.",
    hintNoFace: "The server found no face. If the face is turned, try NeedRotateDetection = 1.",
    hintAction: "This server does not know the action.",
    otherFrame: "The server read the picture as {width} × {height} pixels, the browser shows it otherwise. The points are drawn in the server's frame.",
    foreignPicture: "This page loads nothing from other hosts, so the points of a Url are drawn without the picture.",
    groups: "Groups of points",
    drawingHelp: "Point at a landmark to find it in the response, and the other way round. With the keyboard: go to the picture, then use the arrow keys.",
    drawing: "Landmarks on the picture; arrow keys move from one to the next",
    pictureAlt: "The picture that was sent: {name}",
    zoom: "Zoom to the faces",

    details: "Response, request, signature and code",
    response: "Response",
    responseEmpty: "Nothing was sent yet.",
    request: "Request",
    requestAbout: "As it was sent. The picture's base64 text is shortened here.",
    signature: "Signature",
    signatureAbout: "How the Authorization header was made: TC3-HMAC-SHA256.",
    unsignedAbout: "No keys were typed in, so the request was sent without an Authorization header. This is what would have been signed.",
    canonicalRequest: "Canonical request",
    stringToSign: "String to sign",
    authorization: "Authorization",
    notSigned: "(not signed)",
    code: "Code",
    programmingLanguage: "Programming language",
    codePath: "Path of the picture in the code",
    codeInstall: "Install: {command}",
    codeKeys: "Reads the keys from TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY.",
    codeAnyKeys: "This server accepts any key.",
    codeNeedsProxy: "This SDK connects to ports 80 and 443 only, so the server is given as its proxy.",
    characters: "{count} characters",
    copy: "Copy",
    copied: "Copied",
  },
  zh: {
    title: "API Explorer",
    skipToResult: "跳到结果",
    language: "页面与返回信息的语言",
    serverSigned: "{host}，校验签名",
    serverOpen: "{host}，不校验签名",

    action: "接口",
    aboutAnalyzeFace: "每张人脸的 90 个关键点。",
    aboutDetectFace: "每张人脸的位置框。",

    picture: "图片",
    pictureAbout: "选择、拖入或粘贴一张图片。支持 JPEG、PNG、BMP。",
    pictureFacts: "{width} × {height} 像素，{kilobytes} KB",
    choose: "选择文件",
    photograph: "拍照",
    takePhoto: "拍摄",
    viewfinder: "摄像头画面",
    cancel: "取消",
    cameraFailed: "无法使用摄像头：{reason}。",
    urlAllowed: "两者都提供时，服务端只使用 Url。",
    urlRefused: "服务需以 --allow-urls 启动。",

    noPicture: "请先选择图片，或填写 Url。",
    notAPicture: "浏览器无法读取图片 {name}。",
    tooSmall: "{width} × {height} 像素：短边不能小于 {least} 像素。",
    tooLong: "{width} × {height} 像素：图片过于狭长，无法缩小到接口的限制之内。",
    tooHeavy: "图片 base64 编码后超过 5 MB，且无法继续缩小。",
    converted: "接口不支持 {type}，页面改以 JPEG 发送。",
    reduced: "图片超出接口限制，页面改发 JPEG 副本，{width} × {height} 像素。",
    saveCopy: "保存副本",
    saveForCode: "本页代码从文件读取图片；使用此副本可得到相同结果。",

    parameters: "参数",
    notSent: "不发送（{value}）",
    Mode: "返回哪些人脸",
    Mode0: "0：所有人脸，最多 10 张",
    Mode1: "1：面积最大的人脸",
    NeedRotateDetection: "是否识别旋转的人脸",
    FaceModelVersion: "算法模型版本",
    MaxFaceNum: "最多处理的人脸数目，1 到 120",
    MinFaceSize: "人脸长和宽的最小尺寸，单位为像素",
    NeedFaceAttributes: "是否返回人脸属性",
    NeedQualityDetection: "是否开启质量检测",
    off: "0：否",
    on: "1：是",

    keys: "密钥",
    keysNeeded: "签名在本页面内完成，SecretKey 不会离开页面。",
    keysOptional: "此服务不校验签名：密钥可以留空，也可以填写任意值来查看签名过程。",
    keysImpossible: "浏览器只允许 https 或 localhost 页面进行签名，本页面只能发送未签名的请求。",
    show: "显示",
    remember: "在此浏览器中保存密钥",
    more: "地域与 Token",
    send: "发送",
    sending: "正在发送……",

    result: "结果",
    empty: "图片和服务端返回的关键点将显示在这里。",
    faces1: "1 张人脸",
    faces: "{count} 张人脸",
    points: "{count} 个点",
    time: "{milliseconds} 毫秒",
    timeTitle: "从发出请求到收完响应",
    unanswered: "无响应",
    unreachable: "{host} 上的服务没有响应。",
    unreadable: "响应不是接口的 JSON（状态码 {status}）。",
    hintAuth: "请检查 SecretId、SecretKey 以及本机时间。",
    hintNoKeys: "此服务校验签名：请填写启动服务时设置的 SecretId 和 SecretKey。",
    hintNoFace: "没有检测到人脸。如果人脸是旋转的，可尝试 NeedRotateDetection = 1。",
    hintAction: "此服务不支持该接口。",
    otherFrame: "服务端读到的图片为 {width} × {height} 像素，与浏览器显示的不同；关键点按服务端的坐标绘制。",
    foreignPicture: "本页面不从其他主机加载内容，因此 Url 图片只绘制关键点。",
    groups: "关键点分组",
    drawingHelp: "指向一个关键点，即可在响应中找到它，反之亦然。使用键盘：先移到图片，再按方向键。",
    drawing: "图片上的关键点；用方向键逐个移动",
    pictureAlt: "已发送的图片：{name}",
    zoom: "放大人脸",

    details: "响应、请求、签名与代码",
    response: "响应",
    responseEmpty: "还没有发送请求。",
    request: "请求",
    requestAbout: "实际发送的请求。图片的 base64 文本在此缩略显示。",
    signature: "签名",
    signatureAbout: "Authorization 请求头的生成过程：TC3-HMAC-SHA256。",
    unsignedAbout: "没有填写密钥，请求未携带 Authorization 请求头。以下是本应签名的内容。",
    canonicalRequest: "规范请求串",
    stringToSign: "待签名字符串",
    authorization: "Authorization",
    notSigned: "（未签名）",
    code: "代码",
    programmingLanguage: "编程语言",
    codePath: "代码中图片的路径",
    codeInstall: "安装：{command}",
    codeKeys: "从环境变量 TENCENTCLOUD_SECRET_ID 和 TENCENTCLOUD_SECRET_KEY 读取密钥。",
    codeAnyKeys: "此服务接受任意密钥。",
    codeNeedsProxy: "该 SDK 只连接 80 和 443 端口，因此把服务地址设为它的代理。",
    characters: "{count} 个字符",
    copy: "复制",
    copied: "已复制",
  },
};

const STORED = "faceshape.explorer.language";

let current = localStorage.getItem(STORED) ?? (navigator.language.startsWith("zh") ? "zh" : "en");

/** Return "zh" or "en". */
export const language = () => current;

/** Return the words of a name, with what stands in braces filled in. */
export function text(name, values = {}) {
  return WORDS[current][name].replace(/\{(\w+)\}/g, (_, key) => String(values[key]));
}

/** Switch the language, and remember it. */
export function setLanguage(name) {
  current = name;
  localStorage.setItem(STORED, name);
}

/** Write the words into every element that names them: data-text, or data-label for aria-label. */
export function writeTexts(root = document) {
  document.documentElement.lang = current === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-text]")) {
    element.textContent = text(element.dataset.text);
  }
  for (const element of root.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", text(element.dataset.label));
  }
}
