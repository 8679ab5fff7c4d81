/** Words of the training data: what people say of a thing that they like, or do not, and of what they talk, by domain. */

function words(text: string): readonly string[] {
  return text.trim().split(/\s*\|\s*/);
}

export const LEXICON = {
  good: words(
    "great | good | excellent | fantastic | wonderful | amazing | perfect | brilliant | superb | awesome | lovely | nice | pleasant | helpful | friendly | fast | quick | reliable | smooth | easy | simple | clear | fair | honest | polite | professional | impressive | outstanding | flawless | convenient | efficient | kind | patient | generous | accurate | useful | terrific | delightful | satisfying | comfortable | affordable | marvellous | stellar | splendid | solid | thoughtful | attentive | courteous | seamless | exceptional | first class | top notch",
  ),
  bad: words(
    "bad | terrible | awful | horrible | poor | dreadful | useless | slow | rude | broken | unacceptable | disappointing | frustrating | annoying | ridiculous | confusing | unreliable | faulty | wrong | disgusting | pathetic | appalling | incompetent | unfair | dishonest | expensive | overpriced | complicated | defective | damaged | unhelpful | unprofessional | shocking | worthless | lousy | disastrous | shameful | insulting | absurd | atrocious | abysmal | inadequate | careless | unfriendly | outrageous | miserable | painful | misleading | sloppy | third rate",
  ),
  pleased: words(
    "happy | pleased | satisfied | delighted | thrilled | grateful | impressed | glad | relieved | thankful | content | excited | overjoyed",
  ),
  upset: words(
    "angry | upset | disappointed | frustrated | annoyed | furious | unhappy | dissatisfied | fed up | tired of this | disgusted | worried | livid | sick of this | irritated | appalled | shocked | outraged",
  ),
  praise: words(
    "thank you so much | thanks a lot | many thanks | well done | keep it up | you made my day | i love it | i really appreciate it | works like a charm | much better now | problem solved | you are the best | that helped a lot | exactly what i needed | i am impressed | it works now | great job | could not be better | all sorted | five stars | you saved me | i will recommend you | that was quick | it finally works | worth every penny",
  ),
  complaint: words(
    "this is a joke | what a waste of time | i want my money back | i will cancel | i want to complain | nobody answers | nobody helps me | this is the worst | i am done with you | never again | i give up | you have ruined my day | it still does not work | nothing works | i have had enough | i hate this | you lost a customer | i feel cheated | that is a scam | one star | you keep ignoring me | it failed again | it crashed again | you charged me twice | i have been waiting for hours | i demand a refund | shame on you | i regret buying it | it keeps failing | you lied to me",
  ),
  very: words("very | really | so | extremely | absolutely | incredibly | truly | quite | pretty | totally | completely | just"),
  slightly: words("a bit | rather | somewhat | a little | fairly"),
  nth: words("second | third | fourth | fifth | tenth"),
  times: words("twice | three times | several times | many times | again and again | for weeks | for days | since monday"),
  day: words("monday | tuesday | friday | yesterday | today | last week | this morning | tomorrow | in march"),
  did: words(
    "changed | updated | ordered | paid | received | returned | opened | closed | activated | renewed | moved | called about | asked about",
  ),
  glad: words(":) | 😀 | 😊 | 👍 | ❤ | 🎉 | 😍"),
  sad: words(":( | 😡 | 😠 | 😞 | 👎 | 😤 | 😢"),
} as const;

export type Slot = keyof typeof LEXICON;

/** Things, people and places of each domain. */
export const DOMAINS = {
  bank: {
    thing: words(
      "card | account | transfer | loan | statement | app | payment | direct debit | mortgage | pin | credit limit | savings account | exchange rate | fee",
    ),
    staff: words("adviser | branch | hotline | support team | bank | cashier"),
  },
  telco: {
    thing: words(
      "contract | connection | internet | router | phone | sim card | invoice | bill | signal | tariff | number | outage | data plan | coverage | roaming | landline",
    ),
    staff: words("technician | hotline | support | network | provider | customer service"),
  },
  shop: {
    thing: words(
      "order | delivery | parcel | refund | return | jacket | laptop | shoes | voucher | invoice | warranty | website | checkout | size | discount | replacement | password",
    ),
    staff: words("courier | seller | shop | support | warehouse | service"),
  },
} as const;

export type Domain = keyof typeof DOMAINS;
