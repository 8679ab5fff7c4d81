/** What the handles of a context throw at a handler that asks for something it may not have. The code goes into the dead letter. */
export class HandlerError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = "HandlerError";
    this.code = code;
  }
}

/** Whose budget has no room for a call: its key's, that of the tenant for whom it is made, or its model's. */
export type BudgetOwner = "key" | "tenant" | "model";

/** BUDGET_EXCEEDED, which says whose budget it is. */
export class BudgetExceeded extends HandlerError {
  readonly exhausted: BudgetOwner;

  constructor(exhausted: BudgetOwner, message: string) {
    super("BUDGET_EXCEEDED", message);
    this.exhausted = exhausted;
  }
}
