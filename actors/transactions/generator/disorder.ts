/** What goes wrong between a till and the log, and how often. */

/** Of each transaction, the chance that this happens to it; at most one does. */
export const DISORDER_SHARES = {
  /** The same line again, up to ten minutes later. */
  duplicate: 0.02,
  /** The same id again with another amount. */
  "other-content": 0.006,
  /** Comes one minute to four and three quarters behind its time. */
  behind: 0.07,
  /** Comes 6 minutes to 6 hours behind its time. */
  late: 0.01,
  /** Comes 25 to 40 hours behind its time: nobody knows any more whether it came before. */
  undecidable: 0.005,
  /** A line that is cut off; the transaction itself follows whole, as it does behind the four below. */
  poison: 0.004,
  /** An amount that is text. */
  "wrong-type": 0.004,
  /** No type. */
  untyped: 0.003,
  /** A currency in small letters. */
  "bad-currency": 0.003,
  /** A latitude beyond the pole, or one without a longitude. */
  "bad-place": 0.004,
  /** Published under the key of another customer; it follows under its own. */
  "other-customer": 0.005,
} as const;

export type Disorder = keyof typeof DISORDER_SHARES;
export type DisorderShares = Readonly<Record<Disorder, number>>;
