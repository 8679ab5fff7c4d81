/** Child process of `commit-kill.test.ts`: commits generation after generation of the same rows until it is killed. */
import { openLmdbStore } from "../../runtime/store/lmdb-store.ts";
import { committed } from "../../runtime/store/shard-store.ts";

const [folder, rows] = [process.argv[2]!, Number(process.argv[3])];
const store = openLmdbStore(folder);
for (let generation = 1; ; generation++) {
  const value = Buffer.alloc(200);
  value.writeUInt32BE(generation);
  await committed(
    store,
    Array.from({ length: rows }, (_, i) => ({ key: `row${String(i).padStart(6, "0")}`, value })),
  );
  process.stdout.write(`${generation}\n`);
}
