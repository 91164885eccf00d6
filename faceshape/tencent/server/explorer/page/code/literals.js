// Texts as the literals of programming languages. Control characters have no place in a path or a
// parameter, and no two languages escape them alike: they are left out.

const plain = (text) => text.replace(/[\u0000-\u001f\u007f]/g, "");

/** In double quotes: Python, Java, Go, JavaScript, C# and C++ agree on these two escapes. */
export const double = (text) => `"${plain(text).replace(/[\\"]/g, "\\$&")}"`;

/** In single quotes, as PHP and Ruby have them. */
export const single = (text) => `'${plain(text).replace(/[\\']/g, "\\$&")}'`;

/** In single quotes, as a POSIX shell has them. */
export const shell = (text) => `'${plain(text).replaceAll("'", "'\\''")}'`;

/** A parameter's value: numbers as they are, texts by a function of this module. */
export const value = (given, quote) => (typeof given === "number" ? String(given) : quote(given));

/** The lines of a program, of which some are absent: those that are false, null or "undefined". */
export const lines = (...given) => given.flat().filter((line) => typeof line === "string").join("\n") + "\n";
