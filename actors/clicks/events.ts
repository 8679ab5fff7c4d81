/** What users do and what the job tells of it. The rules are in README.md beside this file. */
import { Type } from "typebox";
import { output, stream } from "../model/stream.ts";

/** Longest id of a product and name of a category: a session keeps many of them in one row. */
export const NAME_MAX_CHARS = 100;

/** A control character takes six in JSON: of names made of them no session could be told. */
const Name = Type.String({ maxLength: NAME_MAX_CHARS, pattern: "^[^\\u0000-\\u001f]*$" });
const Names = Type.Array(Type.String());
const Click = Type.Object({
  userId: Type.String(),
  productId: Type.Optional(Name),
  category: Type.Optional(Name),
  url: Type.Optional(Type.String()),
});

export type EventType = "page_view" | "product_view" | "add_to_cart" | "purchase";

/** An event as handlers get it. */
export interface ClickData {
  readonly productId?: string;
  readonly category?: string;
}

export const streams = {
  pageView: stream("page_view", { schema: Click }),
  productView: stream("product_view", { schema: Click }),
  addToCart: stream("add_to_cart", { schema: Click }),
  purchase: stream("purchase", { schema: Click }),
};

export const outputs = {
  closed: output("session.closed", {
    schema: Type.Object({
      sessionStart: Type.String(),
      sessionEnd: Type.String(),
      durationMs: Type.Integer(),
      events: Type.Integer(),
      clicks: Type.Integer(),
      products: Names,
      categories: Names,
      purchased: Type.Boolean(),
      revision: Type.Optional(Type.Integer()),
    }),
  }),
  cartAbandoned: output("alert.cart-abandoned", {
    schema: Type.Object({ userId: Type.String(), sessionStart: Type.String(), sessionEnd: Type.String(), products: Names }),
  }),
  affinity: output("affinity.updated", {
    schema: Type.Object({ userId: Type.String(), scores: Type.Record(Type.String(), Type.Number()) }),
  }),
  crossSell: output("alert.cross-sell", {
    schema: Type.Object({ userId: Type.String(), sessionStart: Type.String(), categories: Names }),
  }),
};
