/** The addresses of NATS servers as a setting writes them. nats.js takes no login from them. Pure. */

/** Throws TypeError for what is no list of servers, or has several logins. */
export function readNatsUrl(url: string): { readonly servers: readonly string[]; readonly user?: string; readonly pass?: string } {
  const parts = url.split(",").map((part) => /^((?:(?:nats|tls):\/\/)?)(?:([^@]*)@)?([^@\s/]+)$/.exec(part.trim()));
  if (parts.some((part) => part === null)) throw new TypeError("write nats://host:port, several joined by commas");
  const servers = parts.map((part) => part![1]! + part![3]!);
  const logins = [...new Set(parts.flatMap((part) => part![2] ?? []))];
  if (logins.length > 1) throw new TypeError("the servers of a cluster have one login; write it in the first");
  const [login] = logins;
  if (login === undefined) return { servers };
  const colon = login.indexOf(":");
  const user = decodeURIComponent(colon === -1 ? login : login.slice(0, colon));
  return { servers, user, pass: colon === -1 ? "" : decodeURIComponent(login.slice(colon + 1)) };
}
