/** Codes of quarantine and findings: lower-case words joined by "-", at most 64 characters. */
const CODE = /^[a-z][a-z0-9]*(-[a-z0-9]+)*$/;

export function isCodeText(code: string): boolean {
  return code.length <= 64 && CODE.test(code);
}
