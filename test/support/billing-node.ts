/** A node whose job reads one reference table. */
import { startApiNode } from "./api-node.ts";

export async function startBilling() {
  const { url } = await startApiNode("./billing.ts", "billing");
  return { url, log: "billing", table: "tariffs", data: (price: number) => ({ price }), wrongData: { price: "much" } };
}
