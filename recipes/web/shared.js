// Pages of a server: how it is asked, and the token that it may want.

const MAX_TRIES = 20;
const pause = (seconds) => new Promise((done) => setTimeout(done, 1000 * seconds));
let token = "";

/** Asks the server; waits and asks again where it says that it is busy. Throws an Error with its sentence. */
async function ask(path, options = {}) {
  const headers = { ...(options.headers || {}), ...(token ? { Authorization: `Bearer ${token}` } : {}) };
  for (let tries = 1; ; tries++) {
    let answer;
    try {
      answer = await fetch(path, { ...options, headers });
    } catch {
      throw new Error("The server does not answer.");
    }
    if (answer.status === 503 && tries < MAX_TRIES) {
      await pause(Number(answer.headers.get("Retry-After")) || 1);
      continue;
    }
    const value = await answer.json().catch(() => ({ error: `The server answered with status ${answer.status}.` }));
    if (answer.ok) return value;
    throw Object.assign(new Error(value.error), { status: answer.status });
  }
}

// The token comes behind the sign #, which no browser sends to a server; it does not stay in the address.
if (location.hash.length > 1) {
  token = decodeURIComponent(location.hash.slice(1));
  history.replaceState(null, "", location.pathname);
}

