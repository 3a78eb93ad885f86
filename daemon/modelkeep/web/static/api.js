// Calls of the HTTP interface, with errors in the daemon's words.

// Pages of other origins cannot send it without asking for leave, which they do not get.
const OWN = { "X-Modelkeep-Page": "1" };
const SILENT = "The daemon does not answer. Is it running?";

export class ApiError extends Error {
  // `status` is 0 when nothing came; `body` has what the daemon says besides the sentence.
  constructor(status, sentence, body = {}) {
    super(sentence);
    this.name = "ApiError";
    this.status = status;
    this.body = body;
  }
}

// Call, and return {data, etag, status}. `body` is sent as JSON, `form` (FormData) as it is; `parameters` as a query.
export async function call(method, path, { body, form, parameters, headers = {}, signal } = {}) {
  const options = { method, signal, headers: { ...OWN, ...headers }, credentials: "same-origin" };
  if (body !== undefined) {
    options.headers["Content-Type"] = "application/json";
    options.body = JSON.stringify(body);
  } else if (form !== undefined) {
    options.body = form;
  }
  const answer = await reached(path + query(parameters), options);
  const data = await answer.json().catch(() => null);
  if (answer.status === 401) {
    location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }
  if (!answer.ok) {
    throw new ApiError(answer.status, data?.error ?? `The daemon answers with status ${answer.status}.`, data ?? {});
  }
  if (data === null) {
    throw new ApiError(0, SILENT); // it ended in the middle of its answer
  }
  return { data, etag: answer.headers.get("ETag"), status: answer.status };
}

async function reached(address, options) {
  try {
    return await fetch(address, options);
  } catch (error) {
    throw error.name === "AbortError" ? error : new ApiError(0, SILENT);
  }
}

export const get = async (path, parameters, options) => (await call("GET", path, { parameters, ...options })).data;
export const post = async (path, body, options) => (await call("POST", path, { body, ...options })).data;
export const remove = async (path, parameters) => (await call("DELETE", path, { parameters })).data;

// Return {data, etag}: the version is for `patchVersion`.
export const getVersion = (path, parameters, options) => call("GET", path, { parameters, ...options });

// Change what is still of the version that the reader saw, else ApiError 412 with `body.existing`; return {data, etag}.
export const patchVersion = (path, body, etag) => call("PATCH", path, { body, headers: { "If-Match": etag } });

// Return a query for parameters that have a value, or a list of them; a path in one that is not UTF-8 is sent byte for byte.
export function query(parameters = {}) {
  const given = Object.entries(parameters)
    .flatMap(([name, value]) => [value].flat().map((one) => [name, one]))
    .filter(([, value]) => value !== undefined && value !== null && value !== "");
  return given.length ? `?${given.map(([name, value]) => `${name}=${percent(String(value))}`).join("&")}` : "";
}

function percent(text) {
  return Array.from(text, (character) => {
    const code = character.codePointAt(0);
    if (code >= 0xdc80 && code <= 0xdcff) {
      return `%${(code - 0xdc00).toString(16)}`;
    }
    return encodeURIComponent(code >= 0xd800 && code <= 0xdfff ? "\ufffd" : character);
  }).join("");
}
