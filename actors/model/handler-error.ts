/** What the handles of a context throw at a handler that asks for something it may not have. The code goes into the dead letter. */
export class HandlerError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "HandlerError";
    this.code = code;
  }
}
