/**
 * The data of an output for the eye. Of the runtime's own outputs what matters comes first, in words; what the words leave out
 * stands behind them as JSON, so that nothing is hidden.
 */
type Data = Readonly<Record<string, unknown>>;
/** In words, and what they do not say. */
type Told = readonly [words: string, rest: Data];

const TELL: Readonly<Record<string, (data: Data) => Told>> = {
  "tidemark.quarantine": ({ code, reason, ...rest }) => [`${code}: ${reason}`, rest],
  "tidemark.late": ({ eventId, type, time, behindMs, reason, ...rest }) => [
    `${reason}: ${type} ${eventId} of ${time} is ${behindMs} ms behind the watermark`,
    rest,
  ],
  "tidemark.duplicate-conflict": ({ eventId, ...rest }) => [`${eventId} came before with other content`, rest],
  "tidemark.dead-letter": ({ handler, error, ...rest }) => [`${handler}: ${failureText((error ?? {}) as Data)}`, rest],
  "tidemark.quality": ({ rule, ...rest }) => [`${rule}`, rest],
  "tidemark.audit": ({ what, detail, ...rest }) => {
    const { deadLetter, outcome, ...more } = (detail ?? {}) as Data;
    return deadLetter === undefined ? [`${what}`, { detail, ...rest }] : [`${what} ${deadLetter}: ${outcome}`, { ...more, ...rest }];
  },
};

/** Types of the runtime's own outputs. */
export const SIDE_OUTPUTS: readonly string[] = Object.keys(TELL);

/** What every handler's own error has as its code: it says nothing more. */
const FAILED = "HANDLER_FAILED";

export function dataText(type: string, data: unknown): string {
  const tell = Object.hasOwn(TELL, type) ? TELL[type] : undefined;
  if (tell === undefined) return JSON.stringify(data) ?? "";
  const [words, rest] = tell(data as Data);
  return `${words}  ${JSON.stringify(rest)}`;
}

/** Of a dead letter. */
export function failureText({ code, message }: Data): string {
  return code === FAILED ? String(message) : `${code}: ${message}`;
}
