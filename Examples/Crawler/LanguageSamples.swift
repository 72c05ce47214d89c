/// Texts from which the built-in language detector learns; written for it.
enum LanguageSamples {
  static let all = [
    "de": german, "en": english, "es": spanish, "fr": french, "it": italian, "nl": dutch,
  ]

  private static let english = """
    Every morning the old baker opened the shop before the sun came up over the river. He lit the stove, washed his \
    hands, and listened to the quiet street while the dough was rising. The first customers were always the same three \
    people: a nurse who had worked through the night, a boy with newspapers under his arm, and a woman who never said \
    where she was going. They talked about the weather, about football, and about the bridge that would be closed next \
    week. When the children arrived on their way to school, there was hardly enough room to stand, and somebody usually \
    forgot a hat or a lunch box on the counter. My sister thinks that this is the best place in town, although she has \
    not been there since last winter. I should have told her that they are selling those little apple cakes again, the \
    ones with sugar and cinnamon which we used to share on the steps of the library. What would happen if nobody wanted \
    bread any more? The baker laughs at such questions and says that people might change their clothes, their cars, and \
    even their minds, but they will always come back for something warm. Some things are simple: you mix flour with \
    water, you wait for a few hours, and then you have enough to give away. Yesterday we walked through the woods behind \
    the station and found an owl sleeping in a broken tree. It looked at us with one eye, decided that we were not worth \
    the trouble, and went back to its dreams. The teacher asked everyone to write a short story about a journey, so I \
    wrote about a ship that could only sail when it was raining. Her father works at the hospital, where he repairs the \
    machines that show the doctors what is inside a person. If you listen carefully, you can hear the wind moving \
    between the houses at night. We have decided to build a small boat together, because the lake is beautiful in summer \
    and there is nothing better than reading a book on the water. Please close the window before you leave, and do not \
    worry about the dishes. They had been friends for more than twenty years, yet neither of them could remember how \
    they had met. Whenever the train is late, the station master makes tea for all the passengers and tells them which \
    of his stories are true.
    """

  private static let german = """
    Jeden Morgen öffnet der alte Bäcker seinen Laden, bevor die Sonne über dem Fluss aufgeht. Er heizt den Ofen, wäscht \
    sich die Hände und hört auf die stille Straße, während der Teig aufgeht. Die ersten Kunden sind immer dieselben drei \
    Leute: eine Krankenschwester, die nachts gearbeitet hat, ein Junge mit Zeitungen unter dem Arm und eine Frau, die \
    niemals sagt, wohin sie fährt. Sie reden über das Wetter, über Fußball und über die Brücke, die nächste Woche \
    gesperrt werden soll. Wenn die Kinder auf dem Weg zur Schule vorbeikommen, ist kaum noch Platz zum Stehen, und \
    meistens vergisst jemand eine Mütze oder eine Dose auf der Theke. Meine Schwester findet, dass es keinen schöneren \
    Ort in der Stadt gibt, obwohl sie seit dem letzten Winter nicht mehr dort gewesen ist. Ich hätte ihr erzählen sollen, \
    dass es wieder die kleinen Apfelkuchen gibt, die wir früher auf den Stufen der Bibliothek geteilt haben. Was würde \
    geschehen, wenn niemand mehr Brot haben wollte? Der Bäcker lacht über solche Fragen und meint, die Menschen könnten \
    ihre Kleider, ihre Autos und sogar ihre Meinung ändern, aber zu etwas Warmem kämen sie immer zurück. Manche Dinge \
    sind einfach: Man mischt Mehl mit Wasser, wartet einige Stunden und hat danach genug, um noch etwas zu verschenken. \
    Gestern sind wir durch den Wald hinter dem Bahnhof gegangen und haben eine Eule gefunden, die in einem gebrochenen \
    Baum schlief. Sie sah uns mit einem Auge an, beschloss, dass wir die Mühe nicht wert waren, und kehrte zu ihren \
    Träumen zurück. Die Lehrerin bat alle, eine kurze Geschichte über eine Reise zu schreiben, also schrieb ich von \
    einem Schiff, das nur bei Regen segeln konnte. Ihr Vater arbeitet im Krankenhaus und repariert dort die Geräte, mit \
    denen die Ärzte in einen Menschen hineinsehen. Wer genau hinhört, kann nachts den Wind zwischen den Häusern hören. \
    Wir haben beschlossen, zusammen ein kleines Boot zu bauen, weil der See im Sommer wunderschön ist und es nichts \
    Besseres gibt, als auf dem Wasser ein Buch zu lesen. Bitte schließe das Fenster, bevor du gehst, und mach dir keine \
    Gedanken um das Geschirr. Sie waren seit mehr als zwanzig Jahren befreundet, doch keiner von beiden wusste noch, wie \
    sie sich kennengelernt hatten. Wenn der Zug sich verspätet, kocht der Vorsteher Tee für alle Reisenden und verrät \
    ihnen, welche seiner Geschichten wahr sind.
    """

  private static let french = """
    Chaque matin, le vieux boulanger ouvre sa boutique avant que le soleil ne se lève sur la rivière. Il allume le four, \
    se lave les mains et écoute la rue silencieuse pendant que la pâte monte. Les premiers clients sont toujours les \
    mêmes : une infirmière qui a travaillé toute la nuit, un garçon avec des journaux sous le bras, et une femme qui ne \
    dit jamais où elle va. Ils parlent du temps qu'il fait, de football et du pont qui sera fermé la semaine prochaine. \
    Quand les enfants arrivent sur le chemin de l'école, il n'y a presque plus de place, et quelqu'un oublie souvent un \
    chapeau ou une boîte sur le comptoir. Ma sœur pense que c'est le plus bel endroit de la ville, bien qu'elle n'y soit \
    pas retournée depuis l'hiver dernier. J'aurais dû lui raconter qu'ils vendent de nouveau ces petits gâteaux aux \
    pommes que nous partagions autrefois sur les marches de la bibliothèque. Que se passerait-il si personne ne voulait \
    plus de pain ? Le boulanger rit de ces questions et répond que les gens peuvent changer de vêtements, de voiture et \
    même d'avis, mais qu'ils reviendront toujours chercher quelque chose de chaud. Certaines choses sont simples : on \
    mélange la farine avec de l'eau, on attend quelques heures, et il y en a assez pour en donner. Hier, nous avons \
    marché dans les bois derrière la gare et nous avons trouvé une chouette endormie dans un arbre cassé. Elle nous a \
    regardés d'un œil, a décidé que nous n'en valions pas la peine et s'est remise à rêver. La maîtresse a demandé à \
    chacun d'écrire une courte histoire de voyage, alors j'ai écrit celle d'un bateau qui ne pouvait naviguer que sous \
    la pluie. Son père travaille à l'hôpital, où il répare les appareils qui montrent aux médecins l'intérieur du corps. \
    Si l'on écoute bien, on entend la nuit le vent qui passe entre les maisons. Nous avons décidé de construire ensemble \
    une petite barque, parce que le lac est magnifique en été et qu'il n'y a rien de mieux que de lire un livre sur \
    l'eau. Ferme la fenêtre avant de partir, s'il te plaît, et ne t'inquiète pas pour la vaisselle. Ils étaient amis \
    depuis plus de vingt ans, mais aucun des deux ne savait encore comment ils s'étaient rencontrés. Lorsque le train a \
    du retard, le chef de gare prépare du thé pour tous les voyageurs et leur dit lesquelles de ses histoires sont vraies.
    """

  private static let spanish = """
    Cada mañana el viejo panadero abre la tienda antes de que el sol salga sobre el río. Enciende el horno, se lava las \
    manos y escucha la calle tranquila mientras la masa va creciendo. Los primeros clientes son siempre los mismos: una \
    enfermera que ha trabajado toda la noche, un muchacho con periódicos debajo del brazo y una mujer que nunca dice \
    adónde va. Hablan del tiempo, del fútbol y del puente que estará cerrado la semana que viene. Cuando los niños llegan \
    de camino a la escuela, apenas queda sitio para estar de pie, y casi siempre alguien olvida un gorro o una caja en el \
    mostrador. Mi hermana cree que es el lugar más bonito de la ciudad, aunque no ha vuelto desde el invierno pasado. \
    Debería haberle contado que otra vez venden aquellos pastelitos de manzana que antes compartíamos en los escalones \
    de la biblioteca. ¿Qué pasaría si ya nadie quisiera pan? El panadero se ríe de esas preguntas y dice que la gente \
    puede cambiar de ropa, de coche y hasta de opinión, pero que siempre volverá a buscar algo caliente. Algunas cosas \
    son sencillas: se mezcla la harina con agua, se espera unas horas y luego hay suficiente para regalar. Ayer \
    caminamos por el bosque que está detrás de la estación y encontramos un búho dormido en un árbol roto. Nos miró con \
    un ojo, decidió que no valíamos la pena y volvió a sus sueños. La maestra pidió a todos que escribieran un cuento \
    corto sobre un viaje, así que yo escribí sobre un barco que solo podía navegar cuando llovía. Su padre trabaja en el \
    hospital, donde arregla las máquinas que enseñan a los médicos lo que hay dentro de una persona. Si escuchas con \
    cuidado, por la noche se oye el viento entre las casas. Hemos decidido construir juntos una barca pequeña, porque el \
    lago es precioso en verano y no hay nada mejor que leer un libro sobre el agua. Por favor, cierra la ventana antes \
    de salir y no te preocupes por los platos. Eran amigos desde hacía más de veinte años, pero ninguno de los dos \
    recordaba ya cómo se habían conocido. Cuando el tren llega tarde, el jefe de la estación prepara té para todos los \
    viajeros y les cuenta cuáles de sus historias son verdad.
    """

  private static let italian = """
    Ogni mattina il vecchio fornaio apre la bottega prima che il sole sorga sul fiume. Accende il forno, si lava le mani \
    e ascolta la strada silenziosa mentre la pasta cresce. I primi clienti sono sempre gli stessi: un'infermiera che ha \
    lavorato tutta la notte, un ragazzo con i giornali sotto il braccio e una donna che non dice mai dove va. Parlano del \
    tempo, del calcio e del ponte che sarà chiuso la prossima settimana. Quando arrivano i bambini che vanno a scuola, \
    non c'è quasi più posto per stare in piedi, e di solito qualcuno dimentica un cappello o una scatola sul banco. Mia \
    sorella pensa che sia il posto più bello della città, anche se non ci è più tornata dallo scorso inverno. Avrei \
    dovuto raccontarle che vendono di nuovo quelle piccole torte di mele che una volta dividevamo sui gradini della \
    biblioteca. Che cosa succederebbe se nessuno volesse più il pane? Il fornaio ride di queste domande e dice che la \
    gente può cambiare vestiti, automobile e perfino idea, ma tornerà sempre a cercare qualcosa di caldo. Alcune cose \
    sono semplici: si mescola la farina con l'acqua, si aspetta qualche ora e poi ce n'è abbastanza da regalare. Ieri \
    abbiamo camminato nel bosco dietro la stazione e abbiamo trovato un gufo che dormiva in un albero spezzato. Ci ha \
    guardati con un occhio solo, ha deciso che non ne valeva la pena ed è tornato ai suoi sogni. La maestra ha chiesto a \
    tutti di scrivere un breve racconto di viaggio, così io ho scritto di una nave che poteva navigare soltanto sotto la \
    pioggia. Suo padre lavora all'ospedale, dove ripara le macchine che mostrano ai medici che cosa c'è dentro una \
    persona. Chi ascolta con attenzione può sentire di notte il vento che passa tra le case. Abbiamo deciso di costruire \
    insieme una piccola barca, perché il lago è bellissimo d'estate e non c'è niente di meglio che leggere un libro \
    sull'acqua. Per favore, chiudi la finestra prima di uscire e non preoccuparti dei piatti. Erano amici da più di \
    vent'anni, eppure nessuno dei due ricordava come si fossero conosciuti. Quando il treno è in ritardo, il capostazione \
    prepara il tè per tutti i viaggiatori e racconta loro quali delle sue storie sono vere.
    """

  private static let dutch = """
    Elke ochtend opent de oude bakker zijn winkel voordat de zon boven de rivier opkomt. Hij steekt de oven aan, wast \
    zijn handen en luistert naar de stille straat terwijl het deeg rijst. De eerste klanten zijn altijd dezelfde drie \
    mensen: een verpleegster die de hele nacht heeft gewerkt, een jongen met kranten onder zijn arm en een vrouw die \
    nooit zegt waar ze naartoe gaat. Ze praten over het weer, over voetbal en over de brug die volgende week dicht zal \
    zijn. Als de kinderen op weg naar school binnenkomen, is er nauwelijks plaats om te staan, en meestal vergeet iemand \
    een muts of een doosje op de toonbank. Mijn zus vindt het de mooiste plek van de stad, hoewel ze er sinds vorige \
    winter niet meer is geweest. Ik had haar moeten vertellen dat ze weer die kleine appeltaartjes verkopen die wij \
    vroeger op de trappen van de bibliotheek deelden. Wat zou er gebeuren als niemand meer brood wilde hebben? De bakker \
    lacht om zulke vragen en zegt dat mensen wel hun kleren, hun auto's en zelfs hun mening kunnen veranderen, maar dat \
    ze altijd terugkomen voor iets warms. Sommige dingen zijn eenvoudig: je mengt meel met water, je wacht een paar uur \
    en daarna heb je genoeg om weg te geven. Gisteren liepen we door het bos achter het station en vonden we een uil die \
    in een gebroken boom zat te slapen. Hij keek ons met één oog aan, besloot dat wij de moeite niet waard waren en ging \
    terug naar zijn dromen. De juf vroeg iedereen om een kort verhaal over een reis te schrijven, dus schreef ik over \
    een schip dat alleen kon varen als het regende. Haar vader werkt in het ziekenhuis, waar hij de toestellen maakt die \
    de dokters laten zien wat er binnen in een mens zit. Wie goed luistert, kan 's nachts de wind tussen de huizen \
    horen. We hebben besloten om samen een bootje te bouwen, omdat het meer in de zomer prachtig is en er niets beters \
    bestaat dan een boek lezen op het water. Doe alsjeblieft het raam dicht voordat je vertrekt en maak je geen zorgen \
    over de afwas. Ze waren al meer dan twintig jaar bevriend, maar geen van beiden wist nog hoe ze elkaar hadden leren \
    kennen. Wanneer de trein te laat is, zet de stationschef thee voor alle reizigers en vertelt hij hun welke van zijn \
    verhalen waar zijn.
    """
}
