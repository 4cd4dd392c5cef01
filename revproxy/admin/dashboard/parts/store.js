/** Values that several parts of the page share. */
import { useEffect, useState } from "./html.js";

/**
 * A value that tells when it changes.
 * @template T
 * @param {T} first
 */
export function store(first) {
  let value = first;
  const hearers = new Set();
  return {
    get: () => value,
    /** @param {T} next */
    set(next) {
      if (Object.is(next, value)) return;
      value = next;
      hearers.forEach((hear) => hear(next));
    },
    /** @param {(value: T) => void} hear @returns {() => void} which ends it */
    hear(hear) {
      hearers.add(hear);
      return () => hearers.delete(hear);
    },
  };
}

/** The value of a store; the component is drawn anew when it changes. */
export function useStore(source) {
  const [value, setValue] = useState(source.get());
  useEffect(() => {
    setValue(() => source.get());
    return source.hear((next) => setValue(() => next));
  }, [source]);
  return value;
}
