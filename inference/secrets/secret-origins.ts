/**
 * To which servers a secret may go. The record of a model names a secret and a server, and whoever may put one would else
 * send any secret anywhere; so where each may go is a setting of the node.
 */

/** A plain record: it crosses processes. */
export interface SecretOrigins {
  /** Origins, as `https://models.example`, by the secret's name. */
  readonly origins: Readonly<Record<string, readonly string[]>>;
  /** What becomes of a secret that is not there: with `nowhere` it is used for no server, with `anywhere` for all. */
  readonly others: "nowhere" | "anywhere";
}

/** Of a node that says nothing. */
export const NO_ORIGINS: SecretOrigins = { origins: {}, others: "nowhere" };

/** Whether it is said of a secret where it may go. */
export function hasOrigins({ origins }: SecretOrigins, name: string): boolean {
  return Object.hasOwn(origins, name);
}

/** Why a secret may not go out to the server of `url`; `undefined` when it may. */
export function originFault(bound: SecretOrigins, name: string, url: string): string | undefined {
  const { origin } = new URL(url);
  if (!hasOrigins(bound, name)) return bound.others === "anywhere" ? undefined : `${refusal(name, origin)} names no origin of it`;
  return bound.origins[name]!.includes(origin) ? undefined : `${refusal(name, origin)} names other origins for it`;
}

function refusal(name: string, origin: string): string {
  return `the secret "${name}" may not go to ${origin}: TIDEMARK_SECRETS_ORIGINS`;
}
