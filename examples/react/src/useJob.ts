import { BackdropClient, BackdropError, type Photo, type Recipe } from "backdrop-client";
import { useCallback, useEffect, useRef, useState } from "react";

export const client = new BackdropClient({
  baseUrl: import.meta.env.VITE_BACKDROP_URL ?? "http://127.0.0.1:8000",
});

/** Where the id of the running job is kept, so that a page that is loaded again goes on. */
const KEPT = "backdrop-job";

export interface Shown {
  /** What the service does now, in words; empty while nothing runs. */
  status: string;
  images: { index: number; url: string }[];
  /** What went wrong, or could not be honoured. */
  notes: string[];
}

const NOTHING: Shown = { status: "", images: [], notes: [] };

/** One job at a time: it goes on when the page is closed, and is found again. */
export function useJob() {
  const [shown, setShown] = useState(NOTHING);
  const [id, setId] = useState(() => localStorage.getItem(KEPT));
  const following = useRef<string | null>(null);
  const change = useCallback((by: Partial<Shown>) => setShown((old) => ({ ...old, ...by })), []);

  useEffect(() => {
    // React's strict mode runs effects twice: the second finds the job followed already.
    if (id === null || following.current === id) return;
    following.current = id;
    change({ ...NOTHING, status: "in line" });
    client
      .resume(id, {
        onPlace: ({ place }) => change({ status: place > 1 ? `in line, place ${place}` : "next" }),
        onProgress: ({ step, steps }) => change({ status: `painting, step ${step} of ${steps}` }),
        onImage: (image) => setShown((old) => ({ ...old, images: [...old.images, image] })),
        onReconnect: () => change({ status: "connection lost, trying again" }),
      })
      .then(({ warnings }) => change({ notes: warnings }))
      .catch((error: unknown) => change({ notes: [sentence(error)] }))
      .finally(() => {
        localStorage.removeItem(KEPT);
        setId(null);
        change({ status: "" });
      });
  }, [id, change]);

  const submit = async (request: Recipe & Photo) => {
    change({ ...NOTHING, status: "sending" });
    try {
      const job = await client.submit(request, {
        onWait: ({ seconds }) => change({ status: `busy, again in ${Math.ceil(seconds)} s` }),
      });
      localStorage.setItem(KEPT, job.id);
      setId(job.id);
    } catch (error) {
      change({ status: "", notes: [sentence(error)] });
    }
  };
  const cancel = () => {
    if (id !== null) void client.cancel(id).catch((error) => change({ notes: [sentence(error)] }));
  };
  return { shown, submit, cancel };
}

export function sentence(error: unknown): string {
  return error instanceof BackdropError ? error.message : String(error);
}
