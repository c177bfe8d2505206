// A line of the table: what was measured, the floor it is held against in the same run, and the budget.

export interface Row {
  what: string
  measured: string
  /** What the same thing costs without callrec. */
  floor?: string
  ratio?: string
  budget: string
}

export const times = (measured: number, floor: number): string => `${(measured / floor).toFixed(2)}×`
export const ms = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`
