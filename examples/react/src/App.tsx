import type { Model } from "backdrop-client";
import { useEffect, useState, type FormEvent } from "react";

import { client, sentence, useJob } from "./useJob";

export function App() {
  const [models, setModels] = useState<Model[]>([]);
  const [failed, setFailed] = useState("");
  const { shown, submit, cancel } = useJob();

  useEffect(() => {
    client.models().then(setModels, (error: unknown) => setFailed(sentence(error)));
  }, []);

  const send = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    void submit({
      image: form.get("photo") as File,
      prompt: String(form.get("prompt")),
      model: String(form.get("model")),
      numImages: 4,
    });
  };

  return (
    <main>
      <h1>Product pictures</h1>
      <form onSubmit={send}>
        <label>
          Photo <input name="photo" type="file" accept="image/png,image/jpeg,image/webp" required />
        </label>
        <label>
          Scene <input name="prompt" defaultValue="Tropical beach" required />
        </label>
        <label>
          Model{" "}
          <select name="model">
            {models.map(({ id, name }) => (
              <option key={id} value={id}>
                {name}
              </option>
            ))}
          </select>
        </label>
        <button disabled={shown.status !== "" || models.length === 0}>Make four</button>
        {shown.status && (
          <button type="button" onClick={cancel}>
            Cancel
          </button>
        )}
      </form>
      <p role="status">{shown.status}</p>
      {[failed, ...shown.notes].filter(Boolean).map((note) => (
        <p key={note}>{note}</p>
      ))}
      <div className="images">
        {shown.images.map(({ index, url }) => (
          <a key={index} href={url}>
            <img src={`${url}?width=512`} alt={`Variation ${index + 1}`} />
          </a>
        ))}
      </div>
    </main>
  );
}
