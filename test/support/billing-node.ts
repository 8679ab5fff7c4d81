/** The reference routes of a node with one table, `tariffs` of the log `billing`, as the contract has them: in memory, with one partition. */
import { after } from "node:test";
import Fastify from "fastify";

interface Version {
  readonly version: number;
  readonly effectiveFrom: string;
  readonly data: unknown;
}

export async function startBilling() {
  const app = Fastify();
  const records = new Map<string, Version[]>();
  const path = "/v1/logs/billing/reference/tariffs";
  const problem = (status: number, code: string) => ({ type: "about:blank", title: "", status, code, detail: `${code}: No.` });
  app.setNotFoundHandler((_request, reply) => reply.code(404).send(problem(404, "NOT_FOUND")));
  app.put<{ Params: { id: string }; Querystring: { dryRun?: string }; Body: Version }>(
    `${path}/:id`,
    async ({ params: { id }, query, body }, reply) => {
      const { version, data } = body;
      if (typeof (data as { price?: unknown }).price !== "number") return reply.code(400).send(problem(400, "REFERENCE_INVALID"));
      const stored = records.get(id) ?? [];
      const same = stored.find((each) => each.version === version);
      if (same !== undefined && JSON.stringify(same) !== JSON.stringify(body))
        return reply.code(409).send(problem(409, "REFERENCE_CONFLICT"));
      const dryRun = query.dryRun === "true";
      if (same === undefined && !dryRun) records.set(id, [...stored, body]);
      return { table: "tariffs", id, version, sequence: 1, written: same === undefined, dryRun, positions: [], missing: [] };
    },
  );
  app.get<{ Params: { id: string } }>(`${path}/:id`, async ({ params: { id } }) => ({ items: records.get(id) ?? [], next: null }));
  app.get<{ Querystring: { asOf?: string; prefix?: string } }>(path, async ({ query: { asOf = "", prefix = "" } }) => {
    const items = [...records].flatMap(([id, versions]) => {
      const inForce = versions.filter(({ effectiveFrom }) => effectiveFrom <= asOf).at(-1);
      return inForce === undefined || !id.startsWith(prefix) ? [] : [{ id, ...inForce, versions: versions.length }];
    });
    return { items, next: null };
  });
  const url = await app.listen({ host: "127.0.0.1", port: 0 });
  after(() => app.close());
  const data = (price: number) => ({ price });
  return { url, log: "billing", table: "tariffs", data, wrongData: { price: "much" } };
}
