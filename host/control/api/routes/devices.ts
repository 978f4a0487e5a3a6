/**
 * Changes of what a card is lent, while it runs.
 *
 * @module
 */
import { commandProblem } from "../problem.ts";
import { route } from "../route.ts";

export const DEVICE_ROUTES = [
  route({
    method: "post",
    path: "/v1/cards/{card}/disks",
    summary: "Lends the card one more disk, also while it runs",
    body: "AddDisk",
    answer: "CardStatus",
    status: 201,
    problems: [503],
    async handle({ card, body }) {
      await card.addDisk(body.disk).catch((error) => {
        throw commandProblem(error);
      });
      return card.status();
    },
  }),
  route({
    method: "delete",
    path: "/v1/cards/{card}/disks/{disk}",
    summary: "Takes a disk away; its card OS lets go of it first",
    answer: "CardStatus",
    problems: [503],
    async handle({ card, path }) {
      await card.removeDisk(path["disk"]!).catch((error) => {
        throw commandProblem(error);
      });
      return card.status();
    },
  }),
  route({
    method: "patch",
    path: "/v1/cards/{card}/disks/{disk}",
    summary: "Another size of a disk, or another backend for it",
    body: "ChangeDisk",
    answer: "CardStatus",
    problems: [503],
    async handle({ card, path, body }) {
      const disk = path["disk"]!;
      const change = "size" in body
        ? card.resizeDisk(disk, body.size)
        : card.swapDisk(disk, body.swap);
      await change.catch((error) => {
        throw commandProblem(error);
      });
      return card.status();
    },
  }),
  route({
    method: "patch",
    path: "/v1/cards/{card}/net",
    summary: "Plugs in or pulls the cable of the card's network",
    body: "ChangeNet",
    answer: "CardStatus",
    handle({ card, body: { carrier } }) {
      try {
        card.setCarrier(carrier === "up");
      } catch (error) {
        throw commandProblem(error);
      }
      return card.status();
    },
  }),
];
