/** Where a serving's requests go, and the header that its secret goes out in. */
import type { RemoteServing, SecretUse } from "./remote-serving.ts";

type Endpoint = Pick<RemoteServing, "url" | "path">;

/** Whom it asks, as far as circuits are concerned: models of one server fail together. */
export function endpointOf({ url }: Endpoint): string {
  return new URL(url).origin;
}

/** What is asked: the path before the protocol's own, and then that. */
export function requestUrl({ url, path }: RemoteServing, own: string): string {
  return `${url.replace(/\/+$/, "")}${path ?? own}`;
}

/** The header that a secret goes out in. */
export function headerOf({ header = "authorization" }: SecretUse): string {
  return header;
}
