/** "Did you mean": the nearest of the known words, when it is near enough to be meant. */

/** Edits (an insertion, deletion, replacement or swap of neighbours) that a word of this length may be away. */
function editsMax(length: number): number {
  return length <= 3 ? 1 : length <= 6 ? 2 : 3;
}

/** `undefined` when none is near. A word that begins like exactly one of them means that one. */
export function nearest(word: string, known: readonly string[]): string | undefined {
  const begins = known.filter((each) => each.startsWith(word));
  if (word.length > 1 && begins.length === 1) return begins[0];
  let best: string | undefined;
  let bestEdits = editsMax(word.length) + 1;
  for (const each of known) {
    const edits = editsBetween(word, each);
    if (edits < bestEdits) {
      best = each;
      bestEdits = edits;
    }
  }
  return best;
}

/** Optimal string alignment distance: three rows of the table are enough. */
function editsBetween(a: string, b: string): number {
  let before: number[] = [];
  let above = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let edits = Math.min(above[j]! + 1, row[j - 1]! + 1, above[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) edits = Math.min(edits, before[j - 2]! + 1);
      row.push(edits);
    }
    before = above;
    above = row;
  }
  return above[b.length]!;
}
