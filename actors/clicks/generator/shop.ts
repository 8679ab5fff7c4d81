/** The shop that the sample's users walk through: made up. */

export const SHELVES: Readonly<Record<string, number>> = {
  electronics: 40,
  accessories: 30,
  shoes: 25,
  clothing: 40,
  home: 20,
  garden: 15,
  books: 30,
  toys: 10,
};

export const PAGES = ["/", "/search", "/sale", "/help", "/account", "/delivery"] as const;

export function productOf(category: string, n: number): string {
  return `${category.slice(0, 3)}-${String(n).padStart(3, "0")}`;
}
