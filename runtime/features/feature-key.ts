/**
 * Where a feature stands in the bucket. A key of a bucket has fewer characters than a written key of an actor: only
 * `A-Z a-z 0-9 - _ = /` and dots. So every other byte, `=` too, is written `=XX`, as in quoted-printable; two keys never meet.
 */

/** `<feature>.<customer>`: the key's token, which has no dots, is what stands behind the last one. */
export function featureKey(feature: string, token: string): string {
  return `${feature}.${token.replace(/[:@+=,~]/g, written).replaceAll("%", "=")}`;
}

/** Names no feature: those do not begin with `_`. */
export function ownerKey(feature: string): string {
  return `_owner.${feature}`;
}

/** Names no feature either. */
export function placeKey(job: string, shard: number): string {
  return `_place.${job}.${shard}`;
}

function written(character: string): string {
  return `%${character.charCodeAt(0).toString(16).toUpperCase()}`;
}
