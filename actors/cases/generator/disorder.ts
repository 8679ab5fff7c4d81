/** What real sources do beside telling a story in order: every kind that the generator knows, and how often it comes. */

/** Of cases. */
const CASE_SHARES = {
  /** Opened with a category that nothing is known of. */
  "unknown-category": 0.02,
  /** Opened without risk category, jurisdiction or both. */
  "missing-optional-data": 0.06,
  /** Opened with a jurisdiction that is not in the reference data. */
  "unknown-jurisdiction": 0.02,
  /** Beside the case: an event of one that was never opened. */
  "case-unknown": 0.05,
  /** A change of status, a request for evidence or a second closing of a case that is closed. */
  "after-close": 0.05,
} as const;

/** Of stays in a status: a case that goes through six statuses draws each of them six times. */
const STAY_SHARES = {
  /** A change of status that the process does not allow. */
  "invalid-transition": 0.014,
  /** The change that ends the stay names another status than the one it leaves. */
  "from-mismatch": 0.014,
  /** A pause, resume or completion of a clock that was never started. */
  "unknown-sla": 0.012,
  /** A clock is started again. */
  "second-start": 0.012,
  /** A resume of a clock that runs, a second pause, a second completion. */
  "clock-out-of-turn": 0.018,
  /** A clock of a policy, or of a version of one, that is not in the reference data. */
  "unknown-policy": 0.008,
  /** The end of an assignment that never began. */
  "unknown-assignment": 0.012,
  /** A primary assignment that begins before the one that holds. */
  "overlapping-primary": 0.01,
  /** An officer that is not in the reference data. */
  "unknown-officer": 0.008,
  /** The case is opened again while it is open. */
  "opened-twice": 0.008,
  correction: 0.016,
  /** A correction of an event that never was. */
  "correction-target-unknown": 0.01,
  /** An event with the sequence of the one before it. */
  "sequence-conflict": 0.014,
  /** A pause told of behind the due time, effective before it; its resume follows. Only where a clock is overdue. */
  "late-pause": 0.12,
  /** A decision told of behind the due time, effective before it. Only where a decision is overdue. */
  "late-decision": 0.25,
} as const;

/** Of completions in time. */
const COMPLETION_SHARES = {
  /** Told of behind the due time, effective before it. */
  "late-completion": 0.06,
} as const;

/** Of events, as they are sent; one has one of them at most. */
const EVENT_SHARES = {
  /** The same line again, up to a day and a half later. */
  duplicate: 0.015,
  /** The same id again with another time. */
  "other-content": 0.003,
  /** One to twenty hours behind. */
  behind: 0.006,
  /** Thirty hours to ten days behind. */
  late: 0.006,
  /** Never sent: its sequence is missing. Not of a case without sequences. */
  gap: 0.003,
  /** Before the event a line that is cut off. */
  poison: 0.0015,
  /** Before the event the same with a number in the place of a text. */
  "wrong-type": 0.0015,
  /** Before the event the same without a type. */
  untyped: 0.0015,
} as const;

export const DISORDER_SHARES = { ...CASE_SHARES, ...STAY_SHARES, ...COMPLETION_SHARES, ...EVENT_SHARES };

export type Disorder = keyof typeof DISORDER_SHARES;

/** The share of each kind. */
export type DisorderShares = Readonly<Record<Disorder, number>>;

export const EVENT_DISORDER = Object.keys(EVENT_SHARES) as readonly (keyof typeof EVENT_SHARES)[];

/** `undefined`: none of them. */
export function disorderShares(option: boolean | Partial<DisorderShares> | undefined): DisorderShares | undefined {
  if (option === false) return undefined;
  return typeof option === "object" ? { ...DISORDER_SHARES, ...option } : DISORDER_SHARES;
}
