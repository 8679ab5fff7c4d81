/** Where a serving's requests go, and the header that its secret goes out in. */
import type { RemoteServing, SecretUse } from "./remote-serving.ts";

/** What is asked: the path before the protocol's own, and then that. */
export function requestUrl({ url, path }: RemoteServing, own: string): string {
  return `${url.replace(/\/+$/, "")}${path ?? own}`;
}

/** The header that a secret goes out in. */
export function headerOf({ header = "authorization" }: SecretUse): string {
  return header;
}
