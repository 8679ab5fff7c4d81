/** Thrown by handlers' handles; the code goes into the dead letter. */
export class HandlerError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "HandlerError";
    this.code = code;
  }
}
