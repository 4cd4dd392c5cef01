/**
 * A form made of a JSON schema, as plugins have them for their configuration. What it has no field for (a choice between
 * schemas, say) is edited as JSON in its place, so that no schema makes an empty page. What is wrong is told by the
 * field; the edge has the last word.
 */
import { html, useState } from "./html.js";

const typeOf = (schema) => {
  const types = [].concat(schema.type ?? (schema.properties ? "object" : schema.items ? "array" : schema.enum ? "enum" : "any"));
  return schema.enum ? "enum" : types.filter((type) => type !== "null").length === 1 ? types.find((type) => type !== "null") : "any";
};

/** What is wrong with a value, by path such as `limits.rate`. @returns {Record<string, string>} */
export function problems(schema, value, path = "", found = {}) {
  const say = (text) => { found[path] ??= text; };
  const type = typeOf(schema ?? {});
  if (value === undefined) return found;
  if (type === "enum") { if (!schema.enum.some((one) => JSON.stringify(one) === JSON.stringify(value))) say(`One of ${schema.enum.join(", ")}.`); }
  if (type === "integer" && !Number.isInteger(value)) say("A whole number.");
  if (type === "number" && typeof value !== "number") say("A number.");
  if (type === "boolean" && typeof value !== "boolean") say("true or false.");
  if (type === "string") {
    if (typeof value !== "string") { if (!value?.$env && !value?.$file) say("A text."); } else {
      if (schema.minLength && value.length < schema.minLength) say(schema.minLength === 1 ? "Must not be empty." : `At least ${schema.minLength} characters.`);
      if (schema.maxLength != null && value.length > schema.maxLength) say(`At most ${schema.maxLength} characters.`);
      if (schema.pattern && !matches(schema.pattern, value)) say(`Must look like ${schema.pattern}`);
    }
  }
  if (typeof value === "number") {
    if (schema.minimum != null && value < schema.minimum) say(`At least ${schema.minimum}.`);
    if (schema.maximum != null && value > schema.maximum) say(`At most ${schema.maximum}.`);
    if (schema.exclusiveMinimum != null && value <= schema.exclusiveMinimum) say(`More than ${schema.exclusiveMinimum}.`);
    if (schema.exclusiveMaximum != null && value >= schema.exclusiveMaximum) say(`Less than ${schema.exclusiveMaximum}.`);
  }
  if (type === "array") {
    if (!Array.isArray(value)) say("A list.");
    else {
      if (schema.minItems && value.length < schema.minItems) say(`At least ${schema.minItems}.`);
      if (schema.maxItems != null && value.length > schema.maxItems) say(`At most ${schema.maxItems}.`);
      value.forEach((one, i) => problems(schema.items ?? {}, one, `${path}[${i}]`, found));
    }
  }
  if (type === "object") {
    if (value === null || typeof value !== "object" || Array.isArray(value)) say("A mapping.");
    else {
      const below = (name) => (path ? `${path}.${name}` : name);
      for (const name of schema.required ?? []) if (!(name in value)) found[below(name)] ??= "Must be given.";
      for (const [name, one] of Object.entries(value)) {
        const own = schema.properties?.[name];
        if (own) problems(own, one, below(name), found);
        else if (schema.additionalProperties === false) found[below(name)] ??= "The schema has no such key.";
        else if (typeof schema.additionalProperties === "object") problems(schema.additionalProperties, one, below(name), found);
      }
    }
  }
  return found;
}

function matches(pattern, value) {
  try {
    return new RegExp(pattern, "u").test(value);
  } catch {
    return true; // Python's, and none of JavaScript's: the edge will tell
  }
}

/** @param {{schema: object, value: any, set: (value: any) => void, wrong: Record<string, string>}} props */
export function SchemaForm({ schema, value, set, wrong, defaults }) {
  if (typeOf(schema) !== "object" || !Object.keys(schema.properties ?? {}).length) return html`<${Raw} value=${value} set=${set} label="Configuration" path="" wrong=${wrong} />`;
  return html`<div class="form"><${Members} schema=${schema} value=${value ?? {}} set=${set} path="" wrong=${wrong} defaults=${defaults} /></div>`;
}

function Members({ schema, value, set, path, wrong, defaults }) {
  const change = (name, next) => {
    const { [name]: _, ...rest } = value;
    set(next === undefined ? rest : { ...value, [name]: next });
  };
  const known = Object.keys(schema.properties ?? {});
  const others = Object.keys(value).filter((name) => !known.includes(name));
  return html`${[...known, ...others].map((name) => html`<${Field} key=${name} name=${name} schema=${schema.properties?.[name] ?? {}} isRequired=${schema.required?.includes(name)} value=${value[name]}
    set=${(next) => change(name, next)} path=${path ? `${path}.${name}` : name} wrong=${wrong} fall=${schema.properties?.[name]?.default ?? defaults?.[name]} />`)}`;
}

function Field({ name, schema, value, set, path, wrong, isRequired, fall }) {
  const type = typeOf(schema), label = schema.title ?? name;
  const isReference = value && typeof value === "object" && ("$env" in value || "$file" in value);
  if (type === "object" && schema.properties && !isReference) {
    return html`<fieldset class="field"><legend>${label}</legend>${schema.description && html`<span class="help">${schema.description}</span>`}
      <${Members} schema=${schema} value=${value ?? {}} set=${set} path=${path} wrong=${wrong} defaults=${fall} /></fieldset>`;
  }
  const id = `field-${path}`, about = { id, "aria-invalid": wrong[path] ? "true" : undefined, "aria-describedby": `${id}-help` };
  const fallback = fall === undefined ? "" : `left out: ${JSON.stringify(fall)}`;
  let control;
  if (type === "array" && isFew(schema.items) && (value === undefined || (Array.isArray(value) && value.every((one) => schema.items.enum.includes(one))))) {
    return html`<${Few} label=${label} schema=${schema} value=${value} set=${set} fallback=${fallback} wrong=${wrong[path]} />`;
  }
  if (type === "boolean") {
    control = html`<select ...${about} value=${value === undefined ? "" : String(value)} onChange=${(e) => set({ "": undefined, true: true, false: false }[e.target.value])}>
      <option value="">${fallback || "left out"}</option><option value="true">true</option><option value="false">false</option></select>`;
  } else if (type === "enum") {
    const at = schema.enum.findIndex((one) => JSON.stringify(one) === JSON.stringify(value));
    control = html`<select ...${about} value=${String(at)} onChange=${(e) => set(schema.enum[Number(e.target.value)])}><option value="-1">${fallback || "left out"}</option>${schema.enum.map((one, i) => html`<option value=${String(i)}>${String(one)}</option>`)}</select>`;
  } else if ((type === "number" || type === "integer") && (value === undefined || typeof value === "number")) {
    control = html`<input ...${about} type="number" step=${type === "integer" ? 1 : "any"} min=${schema.minimum} max=${schema.maximum} value=${value ?? ""} placeholder=${fallback} onInput=${(e) => set(e.target.value === "" ? undefined : Number(e.target.value))} />`;
  } else if (type === "string" && !isReference && (value === undefined || typeof value === "string")) {
    control = html`<input ...${about} value=${value ?? ""} placeholder=${fallback} spellcheck="false" onInput=${(e) => set(e.target.value === "" && !isRequired ? undefined : e.target.value)} />`;
  } else if (type === "array" && ["string", "any"].includes(typeOf(schema.items ?? {})) && (value === undefined || (Array.isArray(value) && value.every((one) => typeof one === "string" && one !== "")))) {
    control = html`<${Texts} about=${about} value=${value} set=${set} fallback=${fallback} />`;
  } else return html`<${Raw} value=${value} set=${set} label=${label} help=${schema.description} path=${path} wrong=${wrong} rows=${2} isText=${mayBeText(schema)} />`;
  const below = Object.entries(wrong).find(([where]) => where.startsWith(path + "["));
  return html`<div class="field"><label for=${id}>${label}${isRequired && html` <span class="faint">· must be given</span>`}</label>${control}
    <span id=${`${id}-help`}>${schema.description && html`<span class="help">${schema.description} </span>`}${(wrong[path] || below) && html`<span class="wrong">${wrong[path] ?? `${below[0].slice(path.length)}: ${below[1]}`}</span>`}</span></div>`;
}

const mayBeText = (schema) => [].concat(schema.type ?? []).includes("string") || (schema.oneOf ?? schema.anyOf ?? []).some((one) => mayBeText(one));

const isFew = (items) => items?.enum?.length <= 12 && items.enum.every((one) => typeof one === "string");

/** Some of a few. */
function Few({ label, schema, value, set, fallback, wrong }) {
  const flip = (one) => { const next = schema.items.enum.filter((each) => (value ?? []).includes(each) !== (each === one)); set(next.length ? next : undefined); };
  return html`<fieldset class="field"><legend>${label}</legend><div class="row">${schema.items.enum.map((one) => html`<label class="check"><input type="checkbox" checked=${(value ?? []).includes(one)} onChange=${() => flip(one)} />${one}</label>`)}</div>
    <span class="help">${schema.description} ${value === undefined && fallback}</span>${wrong && html`<span class="wrong">${wrong}</span>`}</fieldset>`;
}

/** A list of texts, one a line. */
function Texts({ about, value, set, fallback }) {
  const [text, setText] = useState((value ?? []).join("\n"));
  const type = (e) => {
    setText(e.target.value);
    const lines = e.target.value.split("\n").map((line) => line.trim()).filter(Boolean);
    set(lines.length ? lines : undefined);
  };
  return html`<textarea ...${about} class="mono" rows=${Math.min(8, Math.max(2, text.split("\n").length))} value=${text} placeholder=${fallback || "one a line"} spellcheck="false" onInput=${type}></textarea>`;
}

/**
 * A value as JSON; or as a text without quotation marks, where it may be one.
 * @param {{value: any, set: (value: any) => void, label: string, path: string, wrong: Record<string, string>, isText?: boolean, isBroken?: (why: string) => void}} props
 */
export function Raw({ value, set, label, help, path, wrong, rows = 4, isText, isBroken }) {
  const [text, setText] = useState(value === undefined ? "" : isText && typeof value === "string" ? value : JSON.stringify(value, null, 2));
  const [bad, setBad] = useState("");
  const type = (e) => {
    setText(e.target.value);
    try {
      const next = e.target.value.trim() ? JSON.parse(e.target.value) : undefined;
      setBad("");
      isBroken?.("");
      set(next);
    } catch (error) {
      if (isText && !/^\s*[[{"]/.test(e.target.value)) return set(e.target.value);
      setBad(error.message);
      isBroken?.(error.message);
    }
  };
  const id = `raw-${path}`, told = Object.entries(wrong).find(([where]) => where === path || where.startsWith(path));
  return html`<div class="field"><label for=${id}>${label} <span class="faint">${isText ? "a text, or JSON" : "as JSON"}</span></label>
    <textarea id=${id} class="mono" rows=${Math.max(rows, Math.min(24, text.split("\n").length))} value=${text} spellcheck="false" aria-invalid=${bad ? "true" : undefined} aria-describedby=${`${id}-help`} onInput=${type}></textarea>
    <span id=${`${id}-help`}>${help && html`<span class="help">${help} </span>`}${(bad || told) && html`<span class="wrong">${bad || `${told[0]}: ${told[1]}`}</span>`}</span></div>`;
}
