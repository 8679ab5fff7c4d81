/**
 * What the dev session and the process of one build say to each other. The session leads: load (at the start of the process),
 * prepare, open, hand over; each is answered once, or refused. Plain records.
 */
import type { CodeIdentity } from "../../actors/fold/meta.ts";
import type { AppModule } from "../app.ts";
import type { NatsAccess } from "../nats-connect.ts";
import type { AppBuild } from "../node/app-build.ts";
import type { HandOverReport } from "../shard/hand-over.ts";

export type ToChild =
  | { readonly kind: "prepare"; readonly nats: NatsAccess }
  /** `httpPort`: instead of the setting's, so that the address stays when the setting is 0. */
  | { readonly kind: "open"; readonly httpPort: number | undefined }
  /** Identities of the builds that follow, by job. The process drains and ends behind the answer. */
  | { readonly kind: "hand-over"; readonly jobs: Readonly<Record<string, CodeIdentity>> };

export type FromChild =
  | { readonly kind: "loaded"; readonly build: AppBuild }
  | { readonly kind: "prepared" }
  | { readonly kind: "ready"; readonly apiUrl: string }
  | { readonly kind: "handing-over"; readonly reports: readonly HandOverReport[] }
  | { readonly kind: "handed-over"; readonly reports: readonly HandOverReport[] }
  | Refusal;

/** The process ends behind it. */
export interface Refusal {
  readonly kind: "refused";
  readonly message: string;
  /** What was loaded, or tried to be: when one of these changes, it is worth another try. */
  readonly modules: readonly AppModule[];
}
