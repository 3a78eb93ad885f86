// What happens, as the daemon tells it: one connection for a page, which comes back by itself.

const RETRY_MS = 2000;
const listeners = { record: new Set(), hashing: new Set(), connection: new Set() };
let source = null;
let isConnected = null;
let retry = 0;

// Call `listener` with each record of the journal as it is written.
export const onRecord = (listener) => added("record", listener);

// Call `listener` with the records of a while together: a busy daemon writes thousands a second.
export function onRecords(listener, gatherMs = 500) {
  const gathered = [];
  return onRecord((record) => {
    gathered.push(record);
    if (gathered.length === 1) {
      setTimeout(() => listener(gathered.splice(0)), gatherMs);
    }
  });
}

// Call `listener` with the files that are being hashed: {path, bytes_done, bytes_total, bytes_per_s}.
export const onHashing = (listener) => added("hashing", listener);

// Call `listener` with true when the daemon is there (again; look anew at what is shown), false when it is gone.
export const onConnection = (listener) => {
  if (isConnected !== null) {
    listener(isConnected);
  }
  return added("connection", listener);
};

function added(kind, listener) {
  listeners[kind].add(listener);
  return () => listeners[kind].delete(listener);
}

function tell(kind, value) {
  for (const listener of listeners[kind]) {
    listener(value);
  }
}

function connect() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource("/api/events");
  source.onopen = () => connected(true);
  source.onerror = () => {
    connected(false);
    if (source.readyState === EventSource.CLOSED) {
      // It was refused (starting, stopping, too many, another token): a browser comes back only after a connection
      // that broke.
      tell("connection", false);
      retry = setTimeout(connect, RETRY_MS);
    }
  };
  source.onmessage = (message) => tell("record", JSON.parse(message.data));
  source.addEventListener("hashing", (message) => tell("hashing", JSON.parse(message.data).active));
}

function connected(now) {
  if (now !== isConnected) {
    isConnected = now;
    tell("connection", now);
  }
}

// A browser has six connections for a host, and each page that listens holds one: only those that are seen do.
document.addEventListener("visibilitychange", () => {
  if (document.hidden) {
    clearTimeout(retry);
    source?.close();
    isConnected = null;
  } else {
    connect();
  }
});

connect();
